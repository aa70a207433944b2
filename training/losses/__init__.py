"""Objectives: functions of a similarity matrix and a positives mask, modules where they learn."""

from training.losses.circle import circle as circle
from training.losses.distillation import embedding_distance as embedding_distance
from training.losses.distillation import similarity_divergence as similarity_divergence
from training.losses.prefix import unit_prefix as unit_prefix
from training.losses.prototype_network import LabelPrototypeNetwork as LabelPrototypeNetwork
from training.losses.prototype_regulariser import prototype_regulariser as prototype_regulariser
from training.losses.query_batch import QueryBatchObjective as QueryBatchObjective
from training.losses.query_label import QueryLabelObjective as QueryLabelObjective
from training.losses.softmax import decoupled_softmax as decoupled_softmax
from training.losses.supervised_contrastive import supervised_contrastive as supervised_contrastive
from training.losses.tcm import threshold_consistent_margin as threshold_consistent_margin
from training.losses.triplet import dynamic_margin_triplet as dynamic_margin_triplet
from training.losses.triplet import hardest_negative_triplet as hardest_negative_triplet

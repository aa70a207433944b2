"""Objectives: pure functions of a similarity matrix and a positives mask."""

from training.losses.softmax import decoupled_softmax as decoupled_softmax
from training.losses.tcm import threshold_consistent_margin as threshold_consistent_margin

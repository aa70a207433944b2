"""Measures of ranking, of coverage and of consistent thresholds; numpy only, float64 inside."""

from training.metrics.coverage import COVERAGE_PRECISIONS as COVERAGE_PRECISIONS
from training.metrics.coverage import area_under_risk_coverage as area_under_risk_coverage
from training.metrics.coverage import coverage_at_precision as coverage_at_precision
from training.metrics.coverage import risk_coverage_counts as risk_coverage_counts
from training.metrics.propensity import PROPENSITY_RANKS as PROPENSITY_RANKS
from training.metrics.propensity import WeightedHits as WeightedHits
from training.metrics.propensity import inverse_propensity as inverse_propensity
from training.metrics.propensity import (
    propensity_scored_precision_at as propensity_scored_precision_at,
)
from training.metrics.ranking import RankedHits as RankedHits
from training.metrics.ranking import mean_reciprocal_rank as mean_reciprocal_rank
from training.metrics.ranking import ndcg_at as ndcg_at
from training.metrics.ranking import precision_at as precision_at
from training.metrics.ranking import recall_at as recall_at
from training.metrics.threshold_consistency import LEAST_POSITIVES as LEAST_POSITIVES
from training.metrics.threshold_consistency import opis as opis
from training.metrics.threshold_consistency import opis_from_histograms as opis_from_histograms

"""The learnt score: features of a candidate to a number in [0, 1], by a logistic model."""

import numpy as np
from jaxtyping import Float64

from service.contract.signals import ScoreModel

_STEEPEST = 30.0
"""Further out the score would be 0 or 1 for good, and candidates could not be told apart."""


def score_of(
    model: ScoreModel, found: Float64[np.ndarray, "candidate feature"]
) -> Float64[np.ndarray, " candidate"]:
    """Return the score of each candidate, in (0, 1).

    Args:
        model: its weights.
        found: features in the order of ``model.features``.
    """
    logit = found @ np.array(model.weights) + model.intercept
    return 1 / (1 + np.exp(-np.clip(logit, -_STEEPEST, _STEEPEST)))

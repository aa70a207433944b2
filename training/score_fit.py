"""The weights of the score: a logistic regression on candidates of labelled queries."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from service.contract.errors import CalibrationError

STRENGTH = 1.0
"""Inverse of the L2 penalty on the weights of standardised features."""


@dataclass(frozen=True)
class FittedScore:
    """Weights of the features as they are, and what is added to their sum."""

    weights: tuple[float, ...]
    intercept: float


def fit_score(
    found: Float64[np.ndarray, "candidate feature"], is_right: Bool[np.ndarray, " candidate"]
) -> FittedScore:
    """Return the weights that tell right candidates from wrong ones best.

    Args:
        found: features of candidates of labelled queries, none of them a calibration query.
        is_right: true where the candidate is a positive of its query.

    Raises:
        CalibrationError: if there is no right or no wrong candidate.
    """
    right = int(is_right.sum())
    if not 0 < right < len(is_right):
        message = (
            f"a score needs right and wrong candidates to learn from, found {right} right of "
            f"{len(is_right)}; give more validation queries or build without --score"
        )
        raise CalibrationError(message)
    scaler = StandardScaler().fit(found)
    model = LogisticRegression(C=STRENGTH, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a little short of the best is fine
        model.fit(scaler.transform(found), is_right)
    weights = model.coef_[0] / scaler.scale_
    intercept = float(np.ravel(model.intercept_)[0] - (weights * scaler.mean_).sum())
    return FittedScore(tuple(float(weight) for weight in weights), intercept)

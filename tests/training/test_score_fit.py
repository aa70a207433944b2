import numpy as np
import pytest

from service.contract.errors import CalibrationError
from training.score_fit import fit_score


def test_weights_are_of_the_features_as_they_are_and_rank_right_above_wrong() -> None:
    chance = np.random.default_rng(0)
    is_right = chance.random(400) < 0.3
    useful = np.where(is_right, 100.0, 60.0) + chance.normal(0, 10, 400)
    found = np.stack([useful, chance.normal(size=400), np.ones(400)], axis=1)

    fitted = fit_score(found, is_right)

    logit = found @ np.array(fitted.weights) + fitted.intercept
    assert fitted.weights[0] > 0
    assert fitted.weights[2] == pytest.approx(0, abs=1e-9)
    assert ((logit > 0) == is_right).mean() > 0.9
    assert (1 / (1 + np.exp(-logit))).mean() == pytest.approx(is_right.mean(), abs=0.02)


def test_the_same_candidates_give_the_same_weights() -> None:
    found = np.random.default_rng(1).normal(size=(60, 3))
    is_right = found[:, 0] > 0.5

    assert fit_score(found, is_right) == fit_score(found, is_right)


@pytest.mark.parametrize("is_right", [[], [True, True], [False]])
def test_candidates_of_one_kind_are_too_few_to_learn_from(is_right: list[bool]) -> None:
    with pytest.raises(CalibrationError, match="without --score"):
        fit_score(np.zeros((len(is_right), 2)), np.array(is_right, dtype=bool))

import torch

from training.config import ObjectiveSection, TcmSection
from training.losses.objective import objective_terms

SIMILARITY = torch.tensor([[0.8, 0.6], [0.4, 0.7]])
IS_POSITIVE = torch.eye(2, dtype=torch.bool)


def settings(weight: float) -> ObjectiveSection:
    tcm = TcmSection(weight=weight, positive_margin=0.9, negative_margin=0.5, start_ratio=0.5)
    return ObjectiveSection(base="decoupled_softmax", temperature=0.05, tcm=tcm)


def test_the_margin_acts_only_after_its_start() -> None:
    before = objective_terms(SIMILARITY, IS_POSITIVE, settings(1.0), run_ratio=0.49)
    after = objective_terms(SIMILARITY, IS_POSITIVE, settings(1.0), run_ratio=0.5)

    assert list(before) == ["decoupled_softmax"]
    assert list(after) == ["decoupled_softmax", "tcm"]


def test_a_weight_of_zero_leaves_the_margin_out() -> None:
    terms = objective_terms(SIMILARITY, IS_POSITIVE, settings(0.0), run_ratio=1.0)

    assert list(terms) == ["decoupled_softmax"]


def test_the_term_is_weighted() -> None:
    one = objective_terms(SIMILARITY, IS_POSITIVE, settings(1.0), run_ratio=1.0)["tcm"]
    three = objective_terms(SIMILARITY, IS_POSITIVE, settings(3.0), run_ratio=1.0)["tcm"]

    assert torch.isclose(three, 3 * one)

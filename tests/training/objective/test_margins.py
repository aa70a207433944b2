import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.training.objective.embedded import objective_settings
from training.losses.tcm import threshold_consistent_margin
from training.objective.margins import MarginError, ThresholdConsistentMargin

BIN = 2 / 2000
AUTO = objective_settings("tcm.weight=1.0").tcm
RIGHT = torch.tensor([[True, False, False], [False, True, False]])
UNCLEAR = torch.tensor([[False, False, False], [True, False, False]])
SIMILARITY = torch.tensor([[0.8, 0.3, 0.6], [0.9, 0.5, 0.2]])


def margin(*overrides: str) -> ThresholdConsistentMargin:
    """Return a margin that acts from 30 % of the run on and is at its full weight from 40 %."""
    changes = [f"tcm.{override}" for override in overrides]
    return ThresholdConsistentMargin(
        objective_settings("tcm.weight=1.0", "tcm.without_gap=stop", *changes).tcm
    )


def watch(tcm: ThresholdConsistentMargin, positives: list[float], negatives: list[float]) -> None:
    """Let the margin see these similarities in its window."""
    values = torch.tensor([positives + negatives])
    is_positive = torch.zeros_like(values, dtype=torch.bool)
    is_positive[0, : len(positives)] = True
    tcm.watch(values, is_positive, ~is_positive, run_ratio=0.25)


def seen(tcm: ThresholdConsistentMargin) -> tuple[int, int]:
    counts = tcm.state_dict()
    return int(counts["positives"].sum()), int(counts["negatives"].sum())


def acts(tcm: ThresholdConsistentMargin, run_ratio: float) -> Tensor:
    loss = tcm(SIMILARITY, RIGHT, run_ratio=run_ratio)
    assert loss is not None
    return loss


@given(
    positives=st.lists(st.floats(0.5, 1, width=32), min_size=1, max_size=40),
    negatives=st.lists(st.floats(-1, 0.4375, width=32), min_size=1, max_size=40),
    percentiles=st.tuples(st.sampled_from([0, 1, 5, 50, 60, 99, 100]), st.integers(0, 100)),
)
def test_an_auto_margin_is_the_percentile_that_numpy_finds_within_a_bin(
    positives: list[float], negatives: list[float], percentiles: tuple[int, int]
) -> None:
    changes = {"positive_percentile": percentiles[0], "negative_percentile": percentiles[1]}
    tcm = ThresholdConsistentMargin(AUTO.model_copy(update=changes))
    watch(tcm, positives, negatives)

    for found, values, percentile in zip(
        tcm.margins(), (positives, negatives), percentiles, strict=True
    ):
        exact = float(np.percentile(values, percentile, method="inverted_cdf"))
        assert exact - 1e-6 <= found <= exact + BIN + 1e-6


def test_auto_margins_of_known_similarities() -> None:
    """The sixth of ten positives in order, and the last of ten negatives."""
    tcm = margin("positive_percentile=60", "negative_percentile=99")
    watch(tcm, [k / 10 - 0.0005 for k in range(1, 11)], [-k / 10 - 0.0005 for k in range(10)])

    assert tcm.margins() == pytest.approx((0.6, 0.0), abs=1e-9)


def test_similarities_of_several_steps_count_together() -> None:
    tcm = margin("positive_percentile=50", "negative_percentile=50")
    for positive, negative in ((0.9, 0.1), (0.7, 0.2), (0.5, 0.3)):
        watch(tcm, [positive], [negative])

    assert tcm.margins() == pytest.approx((0.7, 0.2), abs=BIN + 1e-9)


@pytest.mark.parametrize(
    ("run_ratio", "pairs"),
    [(0.0, 0), (0.19, 0), (0.2, 1), (0.25, 1), (0.299, 1), (0.3, 0), (0.6, 0)],
)
def test_only_the_last_tenth_of_the_run_before_it_acts_is_watched(
    run_ratio: float, pairs: int
) -> None:
    tcm = margin()

    tcm.watch(SIMILARITY[:, :1], RIGHT[:, :1], ~RIGHT[:, :1], run_ratio=run_ratio)

    assert seen(tcm) == (pairs, pairs)


def test_the_watch_begins_with_the_very_step_at_a_tenth_before_the_start() -> None:
    tcm = margin("start_ratio=0.5")

    tcm.watch(SIMILARITY, RIGHT, ~RIGHT, run_ratio=0.4)

    assert seen(tcm) == (2, 4)


def test_ignored_pairs_are_not_watched() -> None:
    tcm = margin()

    tcm.watch(SIMILARITY, RIGHT, ~RIGHT & ~UNCLEAR, run_ratio=0.25)

    assert seen(tcm) == (2, 3)
    assert tcm.margins()[1] < 0.9


@pytest.mark.parametrize(
    "overrides", [("weight=0",), ("positive_margin=0.9", "negative_margin=0.5")]
)
def test_nothing_is_watched_where_no_margin_is_auto(overrides: tuple[str, ...]) -> None:
    tcm = margin(*overrides)

    tcm.watch(SIMILARITY, RIGHT, ~RIGHT, run_ratio=0.25)

    assert seen(tcm) == (0, 0)


def test_watching_leaves_no_gradient_and_no_history() -> None:
    tcm = margin()

    tcm.watch(SIMILARITY.clone().requires_grad_(), RIGHT, ~RIGHT, run_ratio=0.25)

    assert not any(buffer.requires_grad for buffer in tcm.buffers())


def test_given_margins_are_taken_as_they_are() -> None:
    assert margin("positive_margin=0.85", "negative_margin=0.4").margins() == (0.85, 0.4)


def test_one_margin_may_be_given_and_the_other_taken() -> None:
    tcm = margin("positive_margin=0.95", "negative_percentile=100")
    watch(tcm, [0.1], [0.2, 0.4])

    assert tcm.margins() == pytest.approx((0.95, 0.4), abs=BIN + 1e-9)


@pytest.mark.parametrize("run_ratio", [0.0, 0.25, 0.299])
def test_it_does_not_act_before_its_start(run_ratio: float) -> None:
    tcm = margin("positive_margin=0.9", "negative_margin=0.5")

    assert tcm(SIMILARITY, RIGHT, run_ratio=run_ratio) is None


def test_it_never_acts_with_a_weight_of_zero() -> None:
    assert margin("weight=0.0")(SIMILARITY, RIGHT, run_ratio=0.9) is None


@pytest.mark.parametrize(("run_ratio", "share"), [(0.3, 0.0), (0.325, 0.25), (0.4, 1), (0.9, 1)])
def test_its_weight_grows_while_it_warms_up(run_ratio: float, share: float) -> None:
    tcm = margin("weight=3.0", "positive_margin=0.9", "negative_margin=0.5")

    full = threshold_consistent_margin(SIMILARITY, RIGHT, positive_margin=0.9, negative_margin=0.5)
    assert acts(tcm, run_ratio).item() == pytest.approx(3 * share * full.item(), abs=1e-6)


def test_without_a_warm_up_it_has_its_full_weight_at_once() -> None:
    given_margins = ("positive_margin=0.9", "negative_margin=0.5")

    assert torch.equal(
        acts(margin("warmup_ratio=0", *given_margins), 0.3), acts(margin(*given_margins), 0.9)
    )


def test_margins_without_a_gap_are_named_with_both_numbers() -> None:
    tcm = margin("positive_percentile=50", "negative_percentile=99")
    watch(tcm, [0.3, 0.4], [0.6, 0.7])

    with pytest.raises(
        MarginError,
        match=r"positive_margin 0\.30\d \(percentile 50 of positives\).*"
        r"negative_margin 0\.70\d \(percentile 99 of negatives\).*change the percentiles",
    ):
        tcm(SIMILARITY, RIGHT, run_ratio=0.3)


def test_margins_without_a_gap_are_left_out_where_the_run_is_to_go_on() -> None:
    tcm = margin("without_gap=leave_out")
    watch(tcm, [0.3, 0.4], [0.6, 0.7])

    assert tcm(SIMILARITY, RIGHT, run_ratio=0.2) is None
    assert tcm.left_out is None  # it was not to act yet
    assert tcm(SIMILARITY, RIGHT, run_ratio=0.3) is None
    assert tcm.left_out is not None
    assert "positive_margin 0.4" in tcm.left_out


def test_margins_that_meet_leave_no_gap() -> None:
    tcm = margin("positive_percentile=50", "negative_percentile=50")
    watch(tcm, [0.5], [0.5])

    with pytest.raises(MarginError, match="must be lower"):
        tcm.margins()


def test_a_run_that_saw_nothing_before_the_start_says_so() -> None:
    with pytest.raises(MarginError, match=r"positive_margin nan .* negative_margin nan"):
        margin()(SIMILARITY, RIGHT, run_ratio=0.3)


def test_a_restored_margin_has_the_margins_of_the_saved_one() -> None:
    tcm, other = margin(), margin()
    watch(tcm, [0.7, 0.8, 0.9], [0.1, 0.2, 0.3])
    other.load_state_dict(tcm.state_dict())

    assert other.margins() == tcm.margins()
    watch(other, [0.95] * 10, [0.4] * 10)  # a run that stopped within its window watches on
    assert other.margins() != tcm.margins()


def test_the_margins_stay_once_it_acts() -> None:
    tcm = margin()
    watch(tcm, [0.7, 0.8], [0.1, 0.2])
    before = tcm.margins()
    for run_ratio in (0.3, 0.5, 1.0):
        tcm.watch(SIMILARITY, RIGHT, ~RIGHT, run_ratio=run_ratio)
        acts(tcm, run_ratio)

    assert tcm.margins() == before


def test_a_margin_that_acted_has_the_margins_of_what_it_is_restored_to() -> None:
    tcm, other = margin(), margin()
    watch(tcm, [0.7, 0.8], [0.1, 0.2])
    watch(other, [0.9, 0.95], [0.3, 0.4])
    acts(tcm, 0.5)

    tcm.load_state_dict(other.state_dict())

    assert tcm.margins() == other.margins()


def test_a_step_without_any_negative_can_be_watched() -> None:
    tcm = margin()

    tcm.watch(
        torch.tensor([[0.8]]), torch.tensor([[True]]), torch.tensor([[False]]), run_ratio=0.25
    )

    assert seen(tcm) == (1, 0)

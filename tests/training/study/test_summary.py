import pytest

from tests.training.study.made_up import group_figures, run_figures, without_threshold
from training.study.summary import Spread, differences, of_recipe, spread, summarise


def run(variant: str, seed: int, coverage: float) -> dict[str, object]:
    return run_figures(variant, seed, group_figures(coverage=coverage))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, 0.6, 0.7], (0.6, 0.1, 3)),
        ([0.5, 0.7], (0.6, 0.1414214, 2)),
        ([0.5, None], (0.5, None, 1)),
        ([None], (None, None, 0)),
        ([], (None, None, 0)),
    ],
)
def test_the_deviation_is_that_of_a_sample(
    values: list[float | None], expected: tuple[float | None, float | None, int]
) -> None:
    found = spread(values)

    mean, deviation, seeds = expected
    assert found.mean == (None if mean is None else pytest.approx(mean))
    assert found.deviation == (None if deviation is None else pytest.approx(deviation, rel=1e-6))
    assert found.seeds == seeds


def test_a_run_without_a_threshold_counts_with_coverage_zero() -> None:
    violated = group_figures(coverage=0.6, accepted_precision=0.94, is_violated=True)
    runs = [
        run("tcm", 0, 0.9),
        run_figures("tcm", 1, without_threshold()),
        run_figures("tcm", 2, violated),
    ]

    summary = summarise(runs, "all")

    assert (summary.runs, summary.promised, summary.violated) == (3, 2, 1)
    assert summary.measures["coverage"].mean == pytest.approx(0.5)
    assert summary.measures["coverage"].seeds == 3
    assert summary.measures["accepted_precision"].mean == pytest.approx((68 / 70 + 0.94) / 2)
    assert summary.measures["accepted_precision"].seeds == 2
    assert summary.measures["oracle_coverage_95"].mean == pytest.approx(0.8)
    assert summary.costs["training_seconds"] == Spread(60.0, 0.0, 3)


def test_differences_are_taken_seed_by_seed() -> None:
    """Seeds that differ much from one another, by about the same in both variants."""
    references = [run("none", 0, 0.2), run("none", 1, 0.8), run("none", 2, 0.5)]
    runs = [run("tcm", 2, 0.5), run("tcm", 0, 0.3), run("tcm", 1, 1.0), run("tcm", 9, 0.9)]

    found = differences(runs, references, "all")["coverage"]

    assert found.spread.mean == pytest.approx(0.1)
    assert found.spread.deviation == pytest.approx(0.1)
    assert (found.spread.seeds, found.better) == (3, 2)


def test_a_figure_that_one_side_lacks_is_no_pair() -> None:
    references = [run_figures("none", 0, group_figures(precision_at_1=None))]

    found = differences([run_figures("tcm", 0)], references, "all")

    assert found["precision_at_1"].spread == Spread(None, None, 0)
    assert found["coverage"].spread.seeds == 1


def test_a_recipe_is_a_base_with_a_variant() -> None:
    runs = [run("none", 0, 0.2), run("tcm", 0, 0.3), run_figures("tcm", 1, base="other")]

    assert of_recipe(runs, "soft", "tcm") == runs[1:2]

from typing import Any

import pytest

from training.head_report import head_lines


def line(
    accuracy: float | None, chance: float | None, *, head: str = "query_label"
) -> dict[str, Any]:
    return {"step": 1, "notes": {f"{head}_accuracy": accuracy, f"{head}_chance": chance}}


def test_a_head_that_learnt_is_told_with_its_chance() -> None:
    assert head_lines([line(0.9, 0.5)]) == [
        "head query_label: right 0.900 of the time at the end, chance is 0.500"
    ]


@pytest.mark.parametrize("accuracy", [0.2, 0.5, 0.55])
def test_a_head_at_chance_is_told_to_have_learnt_nothing(accuracy: float) -> None:
    [said] = head_lines([line(accuracy, 0.5)])

    assert said.endswith("it learnt nothing: raise objective.heads.learning_rate or train longer")


def test_a_head_is_measured_by_its_own_chance() -> None:
    [said] = head_lines([line(0.3, 0.125, head="query_batch")])

    assert said == "head query_batch: right 0.300 of the time at the end, chance is 0.125"


def test_only_the_last_tenth_of_the_steps_counts() -> None:
    [said] = head_lines([*[line(0.1, 0.5)] * 18, line(0.8, 0.5), line(1.0, 0.5)])

    assert "right 0.900" in said


def test_a_run_of_few_steps_is_judged_by_its_last() -> None:
    [said] = head_lines([line(0.1, 0.5), line(0.2, 0.5), line(0.7, 0.5)])

    assert "right 0.700" in said


def test_each_head_has_a_line_and_validation_and_margins_have_none() -> None:
    notes = {
        **line(0.9, 0.5)["notes"],
        **line(0.8, 0.1, head="query_batch")["notes"],
        "positive_margin": 0.9,
    }
    log = [{"step": 1, "notes": notes}, {"step": 1, "validation": {"precision_at_1": 0.5}}]

    assert [said.split(":")[0] for said in head_lines(log)] == [
        "head query_batch",
        "head query_label",
    ]


@pytest.mark.parametrize("log", [[], [{"step": 1, "notes": {}}], [{"step": 1, "validation": {}}]])
def test_a_run_without_heads_has_nothing_to_report(log: list[dict[str, Any]]) -> None:
    assert head_lines(log) == []


def test_a_step_in_which_no_query_counted_is_left_out() -> None:
    """The log has null for its accuracy and its chance."""
    last = [line(accuracy, 0.5) for accuracy in (0.8, 0.9, None, 0.7)]
    last[2]["notes"]["query_label_chance"] = None

    [said] = head_lines([*[line(0.1, 0.5)] * 36, *last])

    assert said == "head query_label: right 0.800 of the time at the end, chance is 0.500"


def test_a_head_that_was_never_asked_is_said_to_have_learnt_nothing() -> None:
    [said] = head_lines([line(None, None)] * 3)

    assert "learnt nothing" in said

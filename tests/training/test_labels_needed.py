"""The command that says how many calibration labels a promise needs."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.data.labelled import write
from training.__main__ import main
from training.data.table_writer import write_table
from training.label_plan import Pilot, plan_labels
from training.labels_needed import TARGETS, labels_needed
from training.pilots import pilot_of_answers

COUNTS = ("--pilot-queries", "1000", "--pilot-accepted", "500", "--pilot-wrong", "2")


def run(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["training", "labels-needed", *map(str, words)])
    return main()


def plans(path: Path) -> dict[float, dict[str, Any]]:
    return {plan["target_precision"]: plan for plan in json.loads(path.read_text())["plans"]}


def test_without_a_target_every_usual_one_is_planned_with_the_known_minima(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *COUNTS, "--json", tmp_path / "labels.json") == 0

    said = capsys.readouterr().out
    found = plans(tmp_path / "labels.json")
    assert tuple(found) == TARGETS
    assert [found[target]["zero_error_minimum"] for target in (0.90, 0.95, 0.99)] == [29, 59, 299]
    needed = [found[target]["queries"] for target in TARGETS]
    assert needed == sorted(needed)
    assert found[0.95]["queries"] == 2 * found[0.95]["accepted"] == 186
    assert (found[0.95]["coverage"], found[0.95]["why_not"]) == (0.5, None)
    assert "pilot: 1000 queries, 500 accepted, 2 of them wrong" in said
    assert "enough with 80% probability, for a promise with 95% confidence" in said
    assert said.count("\n| 9") == 4


def test_more_power_and_more_confidence_need_more_labels() -> None:
    pilot = Pilot(1000, [(500, 2)])

    def needed(confidence: float, power: float) -> int:
        need = labels_needed(pilot, target_precision=0.95, confidence=confidence, power=power)
        assert need.queries is not None
        return need.queries

    assert needed(0.95, 0.5) < needed(0.95, 0.8) < needed(0.95, 0.95)
    assert needed(0.9, 0.8) < needed(0.95, 0.8) < needed(0.99, 0.8)


def test_a_target_above_what_the_pilot_shows_is_an_answer_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--pilot-queries", "400", "--pilot-accepted", "300", "--pilot-wrong", "30")

    code = run(
        monkeypatch, *words, "--target-precision", "0.95", "--json", tmp_path / "labels.json"
    )

    assert code == 0
    said = capsys.readouterr().out
    assert "| out of reach |" in said
    assert "95%: the best precision that the pilot shows, 89.9%, is not above the target" in said
    assert plans(tmp_path / "labels.json")[0.95]["queries"] is None


@pytest.mark.parametrize(
    ("pilot", "target", "why"),
    [
        (Pilot(10, [(5, 0)]), 0.95, "5 accepted queries is too small to tell; label until at leas"),
        (Pilot(10**6, [(10**6, 49_900)]), 0.95, "so close to the target that more than 100000"),
        (Pilot(10, [(5, 0)]), 0.99999, "more than 100000 accepted queries are needed even if"),
        (Pilot(10, []), 0.95, "no answer of the pilot can be accepted"),
        (Pilot(100, [(1, 0), (90, 45)]), 0.95, "is not above the target, so more labels would not"),
    ],
)
def test_it_says_why_no_number_can_be_given(pilot: Pilot, target: float, why: str) -> None:
    need = labels_needed(pilot, target_precision=target, confidence=0.95, power=0.8)

    assert need.queries is None
    assert why in (need.why_not or "")


def test_figures_of_an_evaluation_are_a_pilot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = {"queries": 1000, "accepted": 500, "accepted_precision": 0.996, "coverage": 0.5}
    (tmp_path / "evaluate.json").write_text(json.dumps(figures))

    by_file = ("--figures", tmp_path / "evaluate.json", "--json", tmp_path / "a.json")
    assert run(monkeypatch, *by_file) == 0
    assert run(monkeypatch, *COUNTS, "--json", tmp_path / "b.json") == 0

    assert plans(tmp_path / "a.json") == plans(tmp_path / "b.json")


def test_answers_are_planned_as_the_export_plans_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    similarity = np.linspace(0.9, 0.3, 600)
    is_correct = np.arange(600) < 300
    rows = [(s, str(c)) for s, c in zip(similarity.tolist(), is_correct.tolist(), strict=True)]
    write_table(tmp_path / "answers.csv", ("similarity", "is_correct"), rows)

    words = ("--answers", tmp_path / "answers.csv", "--target-precision", "0.95")
    assert run(monkeypatch, *words, "--json", tmp_path / "labels.json") == 0

    expected = plan_labels(similarity, is_correct, target_precision=0.95, confidence=0.95)
    assert expected is not None
    found = plans(tmp_path / "labels.json")[0.95]
    assert (found["queries"], found["precision"]) == (expected.queries, expected.precision)


def test_of_the_answers_that_recommend_writes_only_the_best_ones_count(tmp_path: Path) -> None:
    path = write(
        tmp_path / "answers.jsonl",
        '{"rank": 1, "similarity": 0.9, "reason": "above_threshold", "is_correct": true}',
        '{"rank": 2, "similarity": 0.8, "reason": "above_threshold", "is_correct": null}',
        '{"rank": 1, "similarity": 0.7, "reason": "no_threshold", "is_correct": false}',
        '{"rank": 1, "similarity": 0.6, "reason": "ambiguous_product", "is_correct": true}',
        '{"rank": null, "similarity": null, "reason": "empty_text", "is_correct": null}',
    )

    assert pilot_of_answers(path) == Pilot(4, [(1, 0), (2, 1)])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "give one pilot"),
        ((*COUNTS, "--figures", "f.json"), 2, "give one pilot"),
        (("--figures", "f.json", "--answers", "a.csv"), 2, "give one pilot"),
        (COUNTS[:4], 2, "give one pilot"),
        ((*COUNTS, "--target-precision", "95"), 2, "--target-precision 95.0 is not between 0 and"),
        ((*COUNTS, "--confidence", "1"), 2, "--confidence 1.0 is not between"),
        ((*COUNTS, "--power", "nan"), 2, "--power nan is not between"),
        ((*COUNTS[:5], "501"), 2, "500 accepted and 501 wrong cannot be"),
        ((*COUNTS[:3], "0", "--pilot-wrong", "0"), 2, "accepted nothing tells nothing"),
        (("--figures", "nowhere.json"), 1, "nowhere.json cannot be read"),
        (("--answers", "nowhere.csv"), 1, "nowhere.csv does not exist"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: tuple[str, ...],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *words) == code

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ("no JSON", "holds no queries, accepted and accepted_precision"),
        ("[]", "holds no queries, accepted"),
        ('{"queries": 9}', "KeyError: 'accepted'"),
        (
            '{"queries": 9, "accepted": 9, "accepted_precision": null}',
            "holds no queries, accepted",
        ),
        (
            '{"queries": 9, "accepted": 0, "accepted_precision": null}',
            "accepted nothing tells nothing",
        ),
        ('{"queries": 1, "accepted": 9, "accepted_precision": 1}', "1 queries, 9 accepted"),
        (
            '{"queries": 9, "accepted": 9, "accepted_precision": Infinity}',
            "holds no queries, accepted",
        ),
    ],
)
def test_figures_that_are_none_are_refused(
    figures: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "figures.json").write_text(figures)

    assert run(monkeypatch, "--figures", tmp_path / "figures.json") == 1
    error = capsys.readouterr().err
    assert said in error
    assert "figures.json" in error


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("similarity",), "no column 'is_correct'"),
        (("similarity,is_correct",), "holds no answer"),
        (("similarity,is_correct", "0.9,maybe"), "row 2, column 'is_correct': 'maybe' is unknown"),
        (("similarity,is_correct", "0.9,"), "row 2, column 'is_correct': '' is unknown"),
        (("similarity,is_correct", "high,true"), "row 2, column 'similarity': 'high' is no number"),
        (("similarity,is_correct", "nan,true"), "row 2, column 'similarity': 'nan' is no number"),
    ],
)
def test_answers_that_cannot_be_read_are_named_by_row_and_column(
    rows: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = write(tmp_path / "answers.csv", *rows)

    assert run(monkeypatch, "--answers", answers) == 1
    assert said in capsys.readouterr().err

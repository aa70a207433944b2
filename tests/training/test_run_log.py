import json
from pathlib import Path

import pytest

from training.run_log import RunLog, draw_curves, last_figures, read_log

FIGURES = {"precision_at_1": 0.5, "recall_at_10": None, "oracle_coverage": {"0.95": 0.1}}


def test_a_resumed_log_drops_what_the_run_does_again(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    first = RunLog(path, from_step=0)
    for step in (1, 2, 3):
        first.write(step, terms={"loss": 1.0})

    RunLog(path, from_step=2).write(3, terms={"loss": 0.5})

    assert [(line["step"], line["terms"]["loss"]) for line in read_log(path)] == [
        (1, 1.0),
        (2, 1.0),
        (3, 0.5),
    ]


def test_a_line_torn_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"step": 1}) + "\n" + '{"step": 2, "te')

    assert read_log(path) == [{"step": 1}]
    assert read_log(tmp_path / "none.jsonl") == []


def test_a_loss_that_is_zero_throughout_is_drawn_without_a_warning(tmp_path: Path) -> None:
    RunLog(tmp_path / "log.jsonl", from_step=0).write(1, terms={"dexml": 0.0})

    draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")

    assert (tmp_path / "curves.png").exists()


@pytest.mark.parametrize("validated", [True, False])
def test_curves_are_drawn_with_and_without_validation(tmp_path: Path, validated: bool) -> None:
    log = RunLog(tmp_path / "log.jsonl", from_step=0)
    log.write(1, terms={"dexml": 1.0})
    log.write(2, terms={"dexml": 0.5, "tcm": 0.1})
    if validated:
        log.write(2, validation=FIGURES)

    draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")

    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_last_figures_are_those_of_the_last_step_and_of_the_last_validation(
    tmp_path: Path,
) -> None:
    log = RunLog(tmp_path / "log.jsonl", from_step=0)
    assert last_figures(tmp_path / "log.jsonl") == {
        "steps": None,
        "terms": None,
        "validation": None,
    }
    log.write(1, terms={"dexml": 1.0}, notes={"query_label_accuracy": 0.5})
    log.write(1, validation=FIGURES)
    log.write(2, terms={"dexml": 0.5, "tcm": 0.1}, notes={})

    assert last_figures(tmp_path / "log.jsonl") == {
        "steps": 2,
        "terms": {"dexml": 0.5, "tcm": 0.1},
        "validation": FIGURES,
    }


def test_terms_that_begin_in_the_middle_of_a_run_are_drawn(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl", from_step=0)
    log.write(1, terms={"prime_text": 0.1, "prime_reverse": 0.0})
    log.write(2, terms={"prime_text": 0.1, "prime_reverse": 0.1, "prime_prototype": 0.2})

    draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")

    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")

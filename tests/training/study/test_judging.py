import json
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_data import write_checkpoint
from training.study.judging import main


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_checkpoint(folder, "run.epochs=1")
    return folder


def judge(work: Path, out: Path, *source: str | Path) -> dict[str, Any]:
    promise = ("--target-precision", "0.7", "--confidence", "0.8")
    config = work / "checkpoint" / "config.toml"
    words = ("--data", work / "data", "--config", config, *source, *promise, "--out", out)
    assert main([str(word) for word in words]) == 0
    return json.loads(out.read_bytes())


def test_a_checkpoint_is_judged_on_every_held_out_query(work: Path, tmp_path: Path) -> None:
    figures = judge(work, tmp_path / "figures.json", "--checkpoint", work / "checkpoint")

    counts = {name: group["queries"] for name, group in figures["groups"].items()}
    assert counts == {"all": 31, "seen": 24, "unseen": 6}
    assert figures["groups"]["all"]["validation_queries"] == 31
    assert figures["groups"]["all"]["calibration_queries"] == 61
    assert figures["steps"] == 5
    assert 0 < figures["seconds_per_step"] <= figures["steps_seconds"]
    assert len(figures["curve"]) == 100
    assert figures["groups"]["all"]["opis"] is None  # its categories have too few positives


@pytest.mark.parametrize("name", ["tfidf", "bm25", "untrained"])
def test_a_baseline_is_judged_on_the_same_queries(work: Path, tmp_path: Path, name: str) -> None:
    figures = judge(work, tmp_path / "figures.json", "--baseline", name)

    counts = {group: found["queries"] for group, found in figures["groups"].items()}
    assert counts == {"all": 31, "seen": 24, "unseen": 6}
    assert "seconds_per_step" not in figures


def test_what_cannot_be_judged_is_one_line(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = work / "checkpoint" / "config.toml"
    promise = ("--target-precision", "0.7", "--confidence", "0.8", "--out", tmp_path / "x.json")
    words = ("--data", work / "data", "--config", config, "--checkpoint", tmp_path, *promise)

    assert main([str(word) for word in words]) == 1
    assert capsys.readouterr().err.count("\n") == 1

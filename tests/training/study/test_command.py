import json
import sys
from pathlib import Path

import pytest

from tests.command_line import run_module
from tests.tiny_data import write_data
from tests.training.study.made_up import STUDY, write_study
from training.__main__ import main
from training.data.folders import DataFolder


def words(folder: Path, *more: str) -> list[str]:
    return [
        *("training", "study", "--config", str(write_study(folder))),
        *("--data", str(folder / "data"), "--out", str(folder / "out"), *more),
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--set", "run.epoch=1"), "run.epoch"),
        (("--jobs", "10000"), "lower --jobs or --threads"),
        (("--jobs", "0"), "whole number"),
    ],
)
def test_what_cannot_be_begun_is_said_at_once(
    more: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_data(tmp_path / "data")
    monkeypatch.setattr(sys, "argv", words(tmp_path, *more))

    try:
        code = main()
    except SystemExit as left:
        code = left.code

    assert code in (1, 2)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_data_without_a_split_that_is_needed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_data(tmp_path / "data") / "matches.csv"
    path.write_text(path.read_text().replace(",calibration", ",validation"))
    monkeypatch.setattr(sys, "argv", words(tmp_path))

    assert main() == 1
    assert "no query with split calibration; a study needs all four" in capsys.readouterr().err


@pytest.mark.slow
def test_a_study_says_what_failed_keeps_the_rest_and_goes_on(
    tmp_path: Path, data: DataFolder, encoder: Path
) -> None:
    """One variant names an encoder that is not there, until it does not."""
    write_data(tmp_path / "data")
    broken = f'[variant.tcm.encoder]\nbase = "{tmp_path / "nowhere"}"\n'
    tiny = f'[common.encoder]\nbase = "{encoder}"\nmax_tokens = 24\n'
    command = words(
        tmp_path,
        *("--set", "study.seeds=[0]", "--set", "run.epochs=1", "--set", "run.batch_size=16"),
        *("--json", str(tmp_path / "figures.json")),
    )
    (tmp_path / "study.toml").write_text(STUDY + tiny + broken)

    failed = run_module(*command)

    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("error: 1 of 3 jobs failed")
    report = (tmp_path / "out" / "study.md").read_text()
    assert "runs done: 1 of 2" in report
    assert "- soft-tcm-0: " in report
    assert str(tmp_path / "nowhere") in report

    (tmp_path / "study.toml").write_text(STUDY + tiny)
    done = run_module(*command)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(done before)") == 2
    figures = json.loads((tmp_path / "figures.json").read_bytes())
    assert {run["variant"] for run in figures["runs"]} == {"none", "tcm"}
    assert all(run["peak_memory_mb"] > 100 for run in figures["runs"])
    assert figures["data"]["sha256"] == data.digest()
    assert (tmp_path / "out" / "curves.png").exists()

"""What the commands say before they load anything heavy."""

import sys
from pathlib import Path

import pytest

from export.__main__ import main
from tests.training.data.labelled import write


def run(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["export", *map(str, words)])
    try:
        return main()
    except SystemExit as leaving:
        return int(leaving.code or 0)


BUILD = ("build", "--checkpoint", "c", "--out", "b")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (BUILD, "give --data, or --products"),
        ((*BUILD, "--data", "d", "--products", "p.csv"), "give --data, or --products"),
        ((*BUILD, "--data", "d", "--calibration", "c.csv"), "give --data, or --products"),
        ((*BUILD, "--data", "d", "--validation", "v.csv"), "give --data, or --products"),
        ((*BUILD, "--products", "p.csv"), "give --data, or --products"),
        ((*BUILD, "--data", "d", "--confidence", "high"), "high is not between 0 and 1"),
        ((*BUILD, "--data", "d", "--target-precision", "95"), "95 is not between 0 and 1"),
        (
            ("recommend", "--bundle", "b", "--queries", "q.csv", "--out", "o.csv", "-k", "1.5"),
            "1.5 is not a whole number from 1 to 100",
        ),
        (
            ("evaluate", "--bundle", "b", "--matches", "m.csv", "--plot", "curves.doc"),
            "curves.doc is no kind of picture; name a file with .png, .svg, .pdf",
        ),
    ],
)
def test_wrong_usage_is_said_at_once(
    words: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *words) == 2
    assert said in capsys.readouterr().err


def test_a_split_that_is_not_there_is_said_with_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without = write(tmp_path / "without.csv", "query_id,text,product_id", "q,a lamp,p")
    train = write(tmp_path / "train.csv", "query_id,text,product_id,split", "q,a lamp,p,train")

    for path, there in ((without, "only no splits"), (train, "only train")):
        words = ("evaluate", "--bundle", "b", "--matches", path, "--split", "test")
        assert run(monkeypatch, *words) == 1
        assert f"holds no query with split test, {there}; name" in capsys.readouterr().err


def test_queries_that_repeat_a_text_or_were_trained_on_are_noted(
    tmp_path: Path,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = ("q1,Canon EOS R6,p-4,train", "q2,canon  eos r6,p-4,test", "q3,pentax k9,p-99,test")
    matches = write(tmp_path / "matches.csv", "query_id,text,product_id,split", *rows)

    assert run(monkeypatch, "evaluate", "--bundle", tiny_bundle, "--matches", matches) == 0

    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert [note.split(";")[0] for note in notes] == [
        "note: 1 of 3 queries are training queries",
        "note: 1 of 3 queries repeat the text of another",
        "note: 1 of 3 queries name a product that is not in the catalogue",
    ]

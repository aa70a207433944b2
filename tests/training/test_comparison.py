import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tiny_data import write_checkpoint
from training.__main__ import main
from training.checkpoint import load_checkpoint
from training.comparison import compare
from training.data.folders import DataFolder, read_data_folder


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_checkpoint(folder, "run.epochs=1")
    return folder


def test_seen_is_what_the_checkpoint_was_trained_on_in_every_row(work: Path) -> None:
    """On a folder without a training query: products are seen all the same."""
    data = read_data_folder(work / "data")
    others = tuple(replace(query, split="test") for query in data.split("test"))

    systems = compare(
        load_checkpoint(work / "checkpoint"), DataFolder(data.path, data.products, others), others
    )

    counts = {
        name: (groups["all"]["queries"], groups["seen"]["queries"], groups["unseen"]["queries"])
        for name, groups in systems.items()
    }
    assert set(counts) == {"TF-IDF", "untrained encoder", "trained encoder"}
    assert set(counts.values()) == {(31, 24, 6)}


@pytest.mark.parametrize(("split", "notes"), [("train", 1), ("test", 0)])
def test_figures_on_training_queries_are_marked_as_such(
    work: Path,
    split: str,
    notes: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("evaluate", "--data", work / "data", "--checkpoint", work / "checkpoint")
    monkeypatch.setattr(sys, "argv", ["training", *map(str, words), "--split", split])

    assert main() == 0
    assert capsys.readouterr().err.count("the encoder was trained on 72 of these 72") == notes

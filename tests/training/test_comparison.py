import json
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
    assert set(counts) == {"TF-IDF", "BM25", "untrained encoder", "trained encoder"}
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


def test_every_system_is_judged_by_the_same_rules(work: Path) -> None:
    """A positive that is filtered for its query is right for no system, and there in none."""
    data = read_data_folder(work / "data")
    queries = [query for query in data.split("test") if query.positives]
    filtered = {query.query_id: frozenset(query.positives) for query in queries[1:]}

    systems = compare(
        load_checkpoint(work / "checkpoint"), replace(data, filtered=filtered), queries
    )

    assert len(systems) == 4
    for groups in systems.values():
        assert groups["all"]["queries"] == len(queries)
        assert groups["seen"]["queries"] + groups["unseen"]["queries"] == 1
        coverage = groups["all"]["oracle_coverage"]["0.95"]
        assert coverage in (0, 1 / len(queries))


def test_evaluate_writes_every_measure_of_every_system(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["evaluate", "--data", work / "data", "--checkpoint", work / "checkpoint"]
    found = []
    for propensity in ("0.55,1.5", "0.6,2.6"):
        options = ["--propensity", propensity, "--json", tmp_path / "figures.json"]
        monkeypatch.setattr(sys, "argv", ["training", *map(str, words + options)])
        assert main() == 0
        found.append(json.loads((tmp_path / "figures.json").read_text())["systems"])

    for groups in found[0].values():
        for figures in groups.values():
            assert {
                "precision_at_1",
                "precision_at_3",
                "precision_at_5",
                "recall_at_10",
                "recall_at_100",
                "ndcg_at_10",
                "mrr_at_10",
                "risk_coverage_area",
            } <= {name for name, value in figures.items() if value is not None}
            assert all(0 <= v <= 1 for v in figures["propensity_scored_precision"].values())
    assert found[0]["untrained encoder"] != found[1]["untrained encoder"]
    assert found[0]["trained encoder"]["all"]["opis"] is None  # five queries of each category
    said = capsys.readouterr().out
    assert "PSP@5" in said
    assert "OPIS across categories: undefined" in said


def test_a_wrong_propensity_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--data", "x", "--checkpoint", "y", "--propensity", "1"]
    monkeypatch.setattr(sys, "argv", ["training", *words])

    assert main() == 2
    assert "--propensity 1 is not two numbers above 0" in capsys.readouterr().err

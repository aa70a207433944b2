"""The same commands on real offers; the data stay where SUREMATCH_DATA says, none are shipped."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import must_run

DATA = os.environ.get("SUREMATCH_DATA")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA, reason="SUREMATCH_DATA is not set"),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digital cameras: prepared, trained for three epochs, built and evaluated at 90 %."""
    work = tmp_path_factory.mktemp("cameras")
    must_run(
        "training", "prepare", "--from", "pricerunner", "--categories", "Digital Cameras",
        "--source", Path(DATA or "") / "pricerunner_dev", "--out", work / "data",
    )  # fmt: skip
    must_run(
        "training", "fit", "--data", work / "data", "--set", "run.epochs=3",
        "--out", work / "checkpoint", seconds=1800,
    )  # fmt: skip
    must_run(
        "export", "build", "--checkpoint", work / "checkpoint", "--data", work / "data",
        "--target-precision", "0.9", "--out", work / "bundle",
    )  # fmt: skip
    for split in ("calibration", "test"):
        must_run(
            "export", "evaluate", "--bundle", work / "bundle", "--split", split,
            "--matches", work / "data" / "matches.csv", "--baselines", "tfidf", "untrained",
            "--json", work / f"{split}.json", "--plot", work / f"{split}.png",
        )  # fmt: skip
    return work


def figures(work: Path, split: str) -> dict[str, Any]:
    return json.loads((work / f"{split}.json").read_text())


def test_real_offers_are_matched_far_better_than_by_either_baseline(work: Path) -> None:
    found = figures(work, "test")

    for name in ("TF-IDF", "untrained encoder"):
        baseline = found["baselines"][name]["all"]
        assert found["precision_at_1"] > baseline["precision_at_1"] + 0.05
        assert found["oracle_coverage"]["0.90"] > baseline["oracle_coverage"]["0.90"] + 0.1


def test_the_promise_was_made_on_what_the_served_path_answers(work: Path) -> None:
    """The calibration split evaluated anew gives the very counts of the operating point."""
    manifest = json.loads((work / "bundle" / "manifest.json").read_text())
    point = manifest["calibration"]["operating_point"]
    found = figures(work, "calibration")

    if point is None:  # a normal outcome on so few labels; then nothing may be accepted
        assert found["accepted"] == 0
        assert "labelled calibration queries" in manifest["calibration"]["explanation"]
    else:
        counts = (point["queries"], point["accepted"], point["wrong"])
        assert counts == (found["queries"], found["accepted"], found["wrong"])


def test_seen_and_unseen_products_add_up(work: Path) -> None:
    found = figures(work, "test")

    groups = found["groups"]
    assert groups["seen"]["queries"] + groups["unseen"]["queries"] == found["queries"]
    assert min(group["queries"] for group in groups.values()) > 50

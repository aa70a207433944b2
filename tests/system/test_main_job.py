"""The main job as a new user runs it: the real encoder, minutes; `make test-slow`."""

import json
import re
from pathlib import Path

import pytest

from tests.command_line import must_run


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the output of one demo on synthetic data."""
    work = tmp_path_factory.mktemp("demo") / "work"
    return work, must_run("export", "demo", "--work", work, seconds=1800)


def row(said: str, system: str) -> list[str]:
    """Return the cells of a system's row over all queries."""
    [line] = [one for one in said.splitlines() if re.match(rf"\| {system} +\| +all ", one)]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.slow
def test_training_beats_both_baselines_in_precision_and_in_coverage(demo: tuple[Path, str]) -> None:
    _, said = demo
    served, untrained, tfidf = (
        row(said, name) for name in ("served bundle", "untrained encoder", "TF-IDF")
    )

    for column in (3, 6):  # P@1, oracle coverage at 95 %
        assert float(served[column]) > max(float(untrained[column]), float(tfidf[column])) + 0.1


@pytest.mark.slow
def test_the_promise_at_95_percent_is_made_and_covers_most_queries(demo: tuple[Path, str]) -> None:
    _, said = demo

    assert "at least 95% are right, with 95% confidence" in said
    assert float(row(said, "served bundle")[8]) > 0.5


@pytest.mark.slow
def test_three_questions_show_an_acceptance_a_review_and_an_unknown_product(
    demo: tuple[Path, str],
) -> None:
    _, said = demo
    asked = said[said.index("5/5") :]

    assert "(goes out alone)\n    auto_accepted: above_threshold" in asked
    assert "(goes to a person)\n    manual_review: " in asked
    assert "(its product is not in the catalogue)" in asked


@pytest.mark.slow
def test_the_demo_leaves_its_pictures_and_a_bundle(demo: tuple[Path, str]) -> None:
    work, said = demo

    for picture in ("evaluation.png", "checkpoint/curves.png"):
        assert (work / picture).read_bytes().startswith(b"\x89PNG")
    assert json.loads((work / "bundle" / "manifest.json").read_text())["digest"]
    assert f"--bundle {work / 'bundle'}" in said

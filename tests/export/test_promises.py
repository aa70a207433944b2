"""Which promise a command uses, and how several are shown; the commands themselves, end to end."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.__main__ import main
from export.promises import accepted_counts, promise_asked_for, promise_lines
from service.contract.bundle import open_bundle
from service.contract.errors import ConfigError
from service.contract.manifest import Manifest
from service.opening import open_recommender
from tests.tiny import write_bundle
from tests.training.data.labelled import write
from training.data.folders import DataFolder
from training.evaluation import JudgedQueries


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    out = tmp_path_factory.mktemp("promises") / "b"
    return write_bundle(out, threshold=0.8, further={0.9: 0.6, 0.98: None}).manifest


def judged(*answers: tuple[float, bool]) -> JudgedQueries:
    return JudgedQueries(
        similarity=np.array([similarity for similarity, _ in answers]),
        is_correct=np.array([right for _, right in answers], dtype=bool),
        recall=np.ones(len(answers)),
        has_product=np.ones(len(answers), dtype=bool),
        is_seen=np.ones(len(answers), dtype=bool),
    )


ANSWERS = judged((0.9, True), (0.8, True), (0.7, False), (0.5, True), (float("nan"), True))


@pytest.mark.parametrize(
    ("threshold", "accepted", "wrong", "precision"),
    [
        (None, 0, 0, None),
        (0.95, 0, 0, None),
        (0.8, 2, 0, 1.0),
        (0.6, 3, 1, 2 / 3),
        (-1, 4, 1, 0.75),
    ],
)
def test_a_threshold_accepts_what_reaches_it_and_never_what_has_no_similarity(
    threshold: float | None, accepted: int, wrong: int, precision: float | None
) -> None:
    counts = accepted_counts(ANSWERS, threshold)

    assert (counts["accepted"], counts["wrong"]) == (accepted, wrong)
    assert counts["coverage"] == accepted / 5
    assert counts["accepted_precision"] == pytest.approx(precision)


def test_without_queries_there_is_no_coverage() -> None:
    assert accepted_counts(judged(), 0.5)["coverage"] is None


def test_the_default_promise_is_used_where_none_is_named(manifest: Manifest) -> None:
    assert promise_asked_for(manifest, None).target_precision == 0.95
    assert promise_asked_for(manifest, 0.9).target_precision == 0.9


def test_a_promise_that_the_bundle_lacks_is_said_with_those_it_has(manifest: Manifest) -> None:
    with pytest.raises(ConfigError, match=r"precision of 0\.99, only for 0\.95, 0\.9, 0\.98; ask"):
        promise_asked_for(manifest, 0.99)


def test_the_table_has_a_row_a_promise_and_the_reasons_stand_below(manifest: Manifest) -> None:
    lines = list(promise_lines(manifest, shown=0.95))

    assert lines == [
        "invented for tests",
        "| promised precision | threshold | calibration coverage | lower bound |",
        "| ------------------ | --------: | -------------------: | ----------: |",
        "| 90%                |    0.6000 |                0.800 |       0.963 |",
        "| 95% (default)      |    0.8000 |                0.800 |       0.963 |",
        "| 98%                |      none |                    - |           - |",
        "98%: invented for tests of 0.98",
    ]


def test_the_reason_of_the_promise_shown_is_not_said_twice(manifest: Manifest) -> None:
    lines = list(promise_lines(manifest, shown=0.98))

    assert [line for line in lines if "0.98" in line] == ["invented for tests of 0.98"]
    assert lines[0] == "invented for tests of 0.98"


def test_two_columns_say_how_each_threshold_fares_on_other_queries(manifest: Manifest) -> None:
    rows = [line for line in promise_lines(manifest, shown=0.95, judged=ANSWERS) if "|" in line]

    here = [[cell.strip() for cell in row.split("|")[-3:-1]] for row in rows]
    assert here[0] == ["coverage here", "precision here"]
    assert here[2:] == [["0.600", "0.667"], ["0.400", "1.000"], ["0.000", "-"]]


class Commands:
    """`python -m export` in this process, in a folder with a checkpoint, data and a bundle."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *words: str | Path) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["export", *map(str, words)])
            return main()

    def build(self, name: str, *words: str) -> Manifest:
        """Promise 80 % by default; return the manifest of the new bundle."""
        trained = ("--checkpoint", self.folder / "checkpoint", "--data", self.folder / "data")
        out, figures = self.folder / name, self.folder / f"{name}.json"
        options = ("--target-precision", "0.8", *words)
        assert self.run("build", *trained, "--out", out, "--json", figures, *options) == 0
        return open_bundle(out).manifest

    def figures(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def commands(trained: Path) -> Commands:
    """With ``several``: a bundle of 61 calibration queries that tried 80 %, 93 % and 98 %."""
    commands = Commands(trained)
    commands.build("several", "--further-targets", "0.93,0.98")
    return commands


def test_a_build_makes_the_further_promises_it_can_and_records_the_others(
    commands: Commands,
) -> None:
    recommender, manifest = open_recommender(commands.folder / "several")

    assert manifest.target_precisions == (0.8, 0.93, 0.98)
    assert recommender.threshold == manifest.threshold == manifest.threshold_at(0.8)
    default, strict = manifest.point_at(0.8), manifest.point_at(0.93)
    assert default is not None
    assert strict is not None
    assert default.accepted > strict.accepted > 0
    assert manifest.threshold_at(0.98) is None
    assert (
        "61 calibration queries do not show 98% precision" in manifest.promise_at(0.98).explanation
    )
    written = commands.figures("several")
    assert [point["target_precision"] for point in written["further"]] == [0.93, 0.98]
    assert written["operating_point"]["threshold"] == manifest.threshold


def test_the_same_default_promise_is_made_with_and_without_further_ones(
    commands: Commands, bundle: Path
) -> None:
    alone = open_bundle(bundle).manifest
    several = open_bundle(commands.folder / "several").manifest

    assert several.operating_point == alone.operating_point
    assert several.calibration.data_sha256 == alone.calibration.data_sha256


def test_a_build_prints_the_promises(
    commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = commands.build("printed")

    said = capsys.readouterr().out.splitlines()
    rows = [line for line in said if line.startswith("|")]
    assert manifest.target_precisions == (0.8, 0.9, 0.95, 0.98), "the standard ones, if not told"
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["80% (default)", "90%", "95%", "98%"]
    assert manifest.calibration.explanation in said
    assert f"98%: {manifest.promise_at(0.98).explanation}" in said


def test_further_promises_can_be_switched_off(commands: Commands) -> None:
    manifest = commands.build("single", "--further-targets", "none")

    assert manifest.target_precisions == (0.8,)
    assert "further" not in commands.figures("single")


@pytest.fixture
def evaluated(
    commands: Commands, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[dict[str, Any], str]:
    """Figures and output of an evaluation under the promise of 93 %."""
    matches = commands.folder / "data" / "matches.csv"
    words = ("--matches", matches, "--split", "test", "--target-precision", "0.93", "--baselines")
    paths = ("--json", tmp_path / "e.json", "--plot", tmp_path / "e.svg")
    assert commands.run("evaluate", "--bundle", commands.folder / "several", *words, *paths) == 0
    assert "promised precision 93" in (tmp_path / "e.svg").read_text()
    return json.loads((tmp_path / "e.json").read_text()), capsys.readouterr().out


def test_an_evaluation_speaks_of_the_promise_it_was_asked_for(
    evaluated: tuple[dict[str, Any], str], commands: Commands, data: DataFolder
) -> None:
    figures, said = evaluated

    recommender, manifest = open_recommender(commands.folder / "several")
    strict = recommender.with_threshold(manifest.threshold_at(0.93))
    queries = data.split("test")
    decided = strict.recommend([query.text for query in queries], k=1)
    accepted = sum(answer.decision == "auto_accepted" for answer in decided)
    assert (figures["target_precision"], figures["confidence"]) == (0.93, 0.95)
    assert figures["threshold"] == manifest.threshold_at(0.93)
    assert (figures["queries"], figures["accepted"]) == (len(queries), accepted)
    point = manifest.point_at(0.93)
    assert point is not None
    assert figures["calibrated_coverage"] == point.coverage
    assert "promised cov@93" in said
    assert manifest.promise_at(0.93).explanation in said


def test_an_evaluation_counts_what_each_promise_of_the_bundle_accepts(
    evaluated: tuple[dict[str, Any], str], commands: Commands, data: DataFolder
) -> None:
    figures, _ = evaluated

    recommender, manifest = open_recommender(commands.folder / "several")
    texts = [query.text for query in data.split("test")]
    points = figures["operating_points"]
    assert [point["target_precision"] for point in points] == [0.8, 0.93, 0.98]
    for point in points:
        threshold = manifest.threshold_at(point["target_precision"])
        answers = recommender.with_threshold(threshold).recommend(texts, k=1)
        accepted = [
            answer.recommendations[0].product_id in query.positives
            for query, answer in zip(data.split("test"), answers, strict=True)
            if answer.decision == "auto_accepted"
        ]
        assert point == {
            "target_precision": point["target_precision"],
            "threshold": threshold,
            "accepted": len(accepted),
            "coverage": len(accepted) / len(texts),
            "accepted_precision": pytest.approx(np.mean(accepted)) if accepted else None,
        }
    assert points[2]["accepted"] == 0


def answers_of(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="") as file:
        return [(row["decision"], row["reason"]) for row in csv.DictReader(file)]


def test_a_file_is_answered_under_the_promise_it_was_asked_for(tmp_path: Path) -> None:
    """The similarity of the query lies between the thresholds of 90 % and 95 %."""
    folder = write_bundle(tmp_path / "b", threshold=0.999, further={0.9: 0.1, 0.98: None}).folder
    queries = write(tmp_path / "queries.csv", "query_id,text", "q1,Canon EOS body R6 Nikon")
    asked = ("recommend", "--bundle", folder, "--queries", queries, "-k", "1")
    found: dict[str, tuple[str, str]] = {}

    for target in ("", "0.95", "0.9", "0.98"):
        out, figures = tmp_path / f"o{target}.csv", tmp_path / f"f{target}.json"
        option = ("--target-precision", target) if target else ()
        assert Commands(tmp_path).run(*asked, "--out", out, "--json", figures, *option) == 0
        [found[target]] = answers_of(out)
        assert json.loads(figures.read_text())["target_precision"] == float(target or 0.95)

    assert found == {
        "": ("manual_review", "below_threshold"),
        "0.95": ("manual_review", "below_threshold"),
        "0.9": ("auto_accepted", "above_threshold"),
        "0.98": ("manual_review", "no_threshold"),
    }


@pytest.mark.parametrize(
    "words",
    [("evaluate", "--matches", "{data}"), ("recommend", "--queries", "{data}", "--out", "{out}")],
)
def test_a_command_refuses_a_promise_that_the_bundle_lacks(
    words: tuple[str, ...],
    tiny_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write(tmp_path / "data.csv", "query_id,text,product_id", "q1,Canon EOS R6,p-4")
    out = tmp_path / "out.csv"
    filled = [word.format(data=data, out=out) for word in words]

    code = Commands(tmp_path).run(*filled, "--bundle", tiny_bundle, "--target-precision", "0.9")

    assert code == 1
    assert "operating point for a precision of 0.9, only for 0.95; ask" in capsys.readouterr().err
    assert not out.exists()

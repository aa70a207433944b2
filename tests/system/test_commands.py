"""The whole line by its commands, on tiny data with a tiny encoder."""

import csv
import gzip
import json
import shutil
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from tests.command_line import must_run, run_module
from tests.process import service_process
from tests.tiny_data import read_data
from tests.tiny_encoder import write_tiny_encoder

HOSTILE = ["", "  \t ", "?!...", "🎧🎧", "שלום עולם", "Acme  LAMP blue", "lamp " * 300]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where every command of the line has run once, in order."""
    work = tmp_path_factory.mktemp("work")
    data = read_data(work / "source")
    texts = data.products.texts(("title",)) + [query.text for query in data.queries]
    encoder = write_tiny_encoder(work / "encoder", texts)
    must_run(
        "training", "prepare", "--from", "folder", "--source", work / "source",
        "--out", work / "data", "--json", work / "prepare.json",
    )  # fmt: skip
    (work / "mine.toml").write_text(
        f'[encoder]\nbase = "{encoder}"\nmax_tokens = 24\n[run]\nepochs = 2\nbatch_size = 16\n'
    )
    must_run(
        "training", "fit", "--data", work / "data", "--config", work / "mine.toml",
        "--set", "optimiser.learning_rate=3e-3", "--out", work / "checkpoint",
        "--json", work / "fit.json",
    )  # fmt: skip
    must_run(
        "training", "evaluate", "--data", work / "data", "--checkpoint", work / "checkpoint",
        "--json", work / "retrieval.json",
    )  # fmt: skip
    must_run(
        "export", "build", "--checkpoint", work / "checkpoint", "--data", work / "data",
        "--out", work / "bundle", "--target-precision", "0.8", "--json", work / "build.json",
    )  # fmt: skip
    must_run(
        "export", "evaluate", "--bundle", work / "bundle", "--split", "test",
        "--matches", work / "data" / "matches.csv", "--baselines", "tfidf", "untrained",
        "--json", work / "evaluate.json", "--plot", work / "new folder" / "plot.png",
    )  # fmt: skip
    return work


def figures(path: Path) -> dict[str, object]:
    return json.loads(path.read_text())


def test_every_command_leaves_its_figures(work: Path) -> None:
    assert figures(work / "prepare.json")
    assert figures(work / "fit.json")["validation"]["queries"] == 31  # pyright: ignore[reportArgumentType, reportIndexIssue]
    assert set(figures(work / "retrieval.json")["systems"]) == {  # pyright: ignore[reportArgumentType]
        "TF-IDF",
        "BM25",
        "untrained encoder",
        "trained encoder",
    }
    assert figures(work / "build.json")["operating_point"]
    assert figures(work / "evaluate.json")["queries"] == 31
    assert (work / "new folder" / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def service(work: Path) -> Generator[str]:
    with service_process(
        work / "service.log", "--bundle", str(work / "bundle"), "--port", "0"
    ) as process:
        yield process.ready_address()


def test_the_file_of_answers_says_what_the_service_says(work: Path, service: str) -> None:
    with (work / "data" / "matches.csv").open(newline="") as file:
        texts = HOSTILE + [row["text"] for row in csv.DictReader(file)]
    with gzip.open(work / "queries.jsonl.gz", "wt", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            file.write(json.dumps({"query_id": f"q{number}", "text": text}) + "\n")
    must_run(
        "export", "recommend", "--bundle", work / "bundle", "-k", "3",
        "--queries", work / "queries.jsonl.gz", "--out", work / "answers.csv",
    )  # fmt: skip
    with (work / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    body = {"queries": [{"id": f"q{n}", "text": t} for n, t in enumerate(texts)], "k": 3}
    results = httpx.post(f"{service}/recommend", json=body, timeout=60).json()["results"]

    assert list(dict.fromkeys(row["query_id"] for row in rows)) == [r["id"] for r in results]
    for result in results:
        mine = [row for row in rows if row["query_id"] == result["id"]]
        assert {(row["decision"], row["reason"]) for row in mine} == {
            (result["decision"], result["reason"])
        }
        found = [(row["rank"], row["product_id"]) for row in mine if row["product_id"]]
        expected = [
            (str(n), r["product_id"]) for n, r in enumerate(result["recommendations"], start=1)
        ]
        assert found == expected
        for row, recommendation in zip(mine, result["recommendations"], strict=False):
            assert abs(float(row["similarity"]) - recommendation["similarity"]) < 1e-5


def test_numbers_of_the_answers_are_numbers_where_the_file_has_them(
    work: Path, tmp_path: Path
) -> None:
    (tmp_path / "queries.csv").write_text("id,what\n1,acme lamp blue\n2,\n")
    must_run(
        "export", "recommend", "--bundle", work / "bundle", "-k", "1", "--map", "query_id=id",
        "--map", "text=what", "--queries", tmp_path / "queries.csv",
        "--out", tmp_path / "answers.jsonl",
    )  # fmt: skip

    best, blank = map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())

    assert (best["query_id"], best["rank"], best["product_id"]) == ("1", 1, "p-lamp-blue")
    assert 0 < best["similarity"] <= 1
    assert (blank["rank"], blank["product_id"], blank["similarity"]) == (None, None, None)
    assert blank["reason"] == "empty_text"


def test_a_bundle_and_itself_answer_alike_and_their_figures_plan_the_next_labels(
    work: Path, tmp_path: Path
) -> None:
    said = must_run(
        "export", "compare", "--bundle", work / "bundle", "--bundle", work / "bundle",
        "--matches", work / "data" / "matches.csv", "--split", "test",
        "--json", tmp_path / "compare.json", "--out", tmp_path / "changed.csv",
    )  # fmt: skip
    assert "no best product and no decision changed" in said
    assert figures(tmp_path / "compare.json")["changed"] == 0
    assert (tmp_path / "changed.csv").read_text().count("\n") == 1

    said = must_run(
        "training", "labels-needed", "--figures", work / "evaluate.json",
        "--target-precision", "0.8", "--json", tmp_path / "labels.json",
    )  # fmt: skip
    assert "| 80% " in said
    assert figures(tmp_path / "labels.json")["pilot_queries"] == 31


def test_a_picture_or_a_file_that_cannot_be_written_is_a_failure_in_words(
    work: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    done = run_module(
        "export", "evaluate", "--bundle", work / "bundle", "--split", "test", "--baselines",
        "--matches", work / "data" / "matches.csv", "--plot", tmp_path / "file" / "plot.png",
    )  # fmt: skip

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "plot.png cannot be written" in done.stderr


def test_the_service_shows_the_promise_that_was_built(work: Path, service: str) -> None:
    built = figures(work / "build.json")

    info = httpx.get(f"{service}/info").json()

    assert info["bundle_id"] == built["bundle_id"]
    assert str(built["operating_point"]["threshold"]) in json.dumps(info)  # pyright: ignore[reportIndexIssue]


def test_single_files_build_a_bundle_as_well(work: Path, tmp_path: Path) -> None:
    """Columns of other names, gzip, no splits, no validation file."""
    products = (work / "data" / "products.csv").read_text().replace("title", "name", 1)
    with gzip.open(tmp_path / "catalogue.csv.gz", "wt") as file:
        file.write(products)
    with (work / "data" / "matches.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] in ("calibration", "test")]
    with (tmp_path / "labels.jsonl").open("w") as file:
        for row in rows:
            file.write(json.dumps({k: row[k] for k in ("query_id", "text", "product_id")}) + "\n")

    said = must_run(
        "export", "build", "--checkpoint", work / "checkpoint", "--out", tmp_path / "bundle",
        "--products", tmp_path / "catalogue.csv.gz", "--calibration", tmp_path / "labels.jsonl",
        "--map", "title=name", "--target-precision", "0.8",
    )  # fmt: skip

    assert "bundle b-" in said


def test_the_same_bundle_is_not_written_twice_to_one_place(work: Path) -> None:
    done = run_module(
        "export", "build", "--checkpoint", work / "checkpoint", "--data", work / "data",
        "--out", work / "bundle",
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "name another folder" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["training"], 2, "required"),
        (["training", "fit"], 2, "--data"),
        (["training", "fit", "--data", "nowhere", "--out", "x"], 1, "nowhere"),
        (
            ["training", "fit", "--data", "nowhere", "--out", "x", "--set", "run.epoch=1"],
            1,
            "epoch",
        ),
        (["training", "fit", "--data", "d", "--out", "x", "--set", "epochs"], 2, "section.key"),
        (["training", "evaluate", "--data", "d", "--checkpoint", "c", "--map", "t"], 2, "TARGET="),
        (["training", "prepare", "--from", "folder", "--out", "x"], 2, "--source PATH"),
        (["training", "prepare", "--from", "synthetic", "--out", "x", "--products", "0"], 2, "0"),
        (
            ["training", "prepare", "--from", "synthetic", "--out", "x", "--unseen-share", "7"],
            2,
            "below 1",
        ),
        (["training", "prepare", "--from", "nothing", "--out", "x"], 2, "synthetic"),
        (
            ["training", "evaluate", "--data", "x", "--checkpoint", "x", "--split", "dev"],
            2,
            "split",
        ),
        (["export", "build", "--checkpoint", "x", "--out", "y"], 2, "give --data, or --products"),
        (["export", "build", "--checkpoint", "x", "--data", "d", "--out", "y"], 1, "no checkpoint"),
        (
            [
                "export",
                "build",
                "--checkpoint",
                "x",
                "--data",
                "d",
                "--out",
                "y",
                "--confidence",
                "1",
            ],
            2,
            "not between 0 and 1",
        ),
        (["export", "evaluate", "--bundle", "x", "--matches", "nowhere.csv"], 1, "nowhere.csv"),
        (
            ["export", "recommend", "--bundle", "x", "--queries", "q", "--out", "o", "-k", "0"],
            2,
            "100",
        ),
        (["export", "compare", "--bundle", "a", "--bundle", "b"], 2, "--queries --matches"),
        (["export", "compare", "--bundle", "a", "--queries", "q"], 2, "--bundle names 1"),
        (
            ["export", "compare", "--bundle", "a", "--bundle", "b", "--queries", "nowhere.csv"],
            1,
            "nowhere.csv",
        ),
        (["training", "labels-needed"], 2, "give one pilot"),
        (["training", "labels-needed", "--pilot-queries", "many"], 2, "many"),
        (["training", "labels-needed", "--figures", "nowhere.json"], 1, "nowhere.json"),
    ],
)
def test_wrong_usage_is_2_and_a_failure_1_with_one_line_that_says_why(
    words: list[str], code: int, said: str
) -> None:
    done = run_module(*words)

    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    "words",
    [
        ["training"],
        ["training", "prepare"],
        ["training", "fit"],
        ["training", "evaluate"],
        ["training", "labels-needed"],
        ["export"],
        ["export", "build"],
        ["export", "evaluate"],
        ["export", "recommend"],
        ["export", "compare"],
        ["export", "demo"],
        ["service"],
    ],
)
def test_every_command_has_help(words: list[str]) -> None:
    assert "usage: python -m " in must_run(*words, "--help")


@pytest.mark.parametrize("name", ["manifest.json", "encoder.onnx", "products.parquet"])
def test_a_flipped_byte_stops_every_command_that_opens_the_bundle(
    work: Path, tmp_path: Path, name: str
) -> None:
    bundle = Path(shutil.copytree(work / "bundle", tmp_path / "bundle"))
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (bundle / name).write_bytes(content)

    done = run_module(
        "export", "evaluate", "--bundle", bundle, "--matches", work / "data" / "matches.csv"
    )

    assert done.returncode == 1
    assert name in done.stderr


def test_calibration_queries_that_are_left_out_or_cannot_be_right_are_said(
    work: Path, tmp_path: Path
) -> None:
    with (work / "data" / "matches.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    trained = next(row for row in rows if row["split"] == "train")
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        columns = ["query_id", "text", "product_id"]
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        stranger = {"query_id": "s-1", "text": "acme drone", "product_id": "p-nowhere"}
        calibration = [row for row in rows if row["split"] == "calibration"]
        writer.writerows([*calibration, trained, stranger])

    done = run_module(
        "export", "build", "--checkpoint", work / "checkpoint", "--out", tmp_path / "bundle",
        "--products", work / "data" / "products.csv", "--calibration", tmp_path / "labels.csv",
    )  # fmt: skip

    assert done.returncode == 0
    assert "note: 1 of 63 queries name a product that is not in the catalogue" in done.stderr
    assert "1 calibration queries have a text that the encoder was trained on" in done.stderr

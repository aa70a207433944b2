"""What smaller encoders cost in coverage and give in speed: one data folder, seed 0.

``python -m tests.benchmarks.smaller_encoders --data DATA --work FOLDER --json FILE`` trains the
recommended recipe as it is, with three layers, with three layers that follow the first run, and
with prefixes; builds the bundles and asks them the test queries. What FOLDER holds already is not
done again, and a training that was stopped goes on. Encoding is timed one text at a time, the
bundles taking turns in one process. Asserts nothing.
"""

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from export.evaluate import evaluate
from service.contract import bundle as bundles
from service.opening import open_recommender
from service.recommender import Recommender
from tests.benchmarks.figures_file import write_figures
from tests.benchmarks.machine import machine
from tests.benchmarks.software import software
from training.console import progress, say, table
from training.data.folders import read_data_folder
from training.run_log import read_log

RECIPES = {
    "full": (),
    "3 layers": ("encoder.layers=3",),
    "3 first layers": ("encoder.layers=3", "encoder.keep_layers=first"),
    "3 layers, similarity taught": ("encoder.layers=3", "distillation.teacher={full}"),
    "3 layers, embedding taught": (
        "encoder.layers=3",
        "distillation.teacher={full}",
        "distillation.form=embedding",
        "distillation.weight=10.0",
    ),
    "prefixes": ("matryoshka.dims=[64, 128, 256]",),
}
"""Settings that are laid over the recommended recipe; {full} is the checkpoint of the first."""

ALWAYS = ("run.seed=0", "run.validate_every_epochs=0")
SERVED = (*((name, 384) for name in RECIPES), ("prefixes", 128), ("prefixes", 64))
SPLITS = ("validation", "test")
TEXTS, ROUNDS = 100, 9
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Row:
    """One bundle of the comparison."""

    name: str
    dim: int
    checkpoint: Path
    bundle: Path

    @property
    def title(self) -> str:
        """Return what the tables call it."""
        return f"{self.name}, {self.dim}"


def main() -> None:
    """Train, build and measure what is asked for; write the figures of all rows at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DATA")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--only", choices=RECIPES, help="train and build this one, measure nothing")
    parser.add_argument("--epochs", type=int, help="fewer than the recipe has")
    parser.add_argument("--json", type=Path, default=Path("compact.json"), metavar="FILE")
    arguments = parser.parse_args()
    rows = [_row(arguments.work, name, dim) for name, dim in SERVED]
    for row in rows:
        if arguments.only in (None, row.name):
            _train(row, arguments)
            _build(row, arguments.data)
    if arguments.only is None:
        found = _measured(rows, arguments.data)
        figures = {"machine": machine(), "software": software(), "settings": _settings(arguments)}
        write_figures({**figures, "rows": found}, arguments.json)
        for line in _table(found):
            say(line)


def _row(work: Path, name: str, dim: int) -> Row:
    folder = name.replace(", ", "-").replace(" ", "-")
    return Row(name, dim, work / folder / "checkpoint", work / folder / f"bundle-{dim}")


def _train(row: Row, arguments: argparse.Namespace) -> None:
    full = _row(arguments.work, "full", 384).checkpoint
    settings = [item.replace("{full}", str(full)) for item in (*RECIPES[row.name], *ALWAYS)]
    if arguments.epochs:
        settings.append(f"run.epochs={arguments.epochs}")
    row.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    changes = [word for item in settings for word in ("--set", item)]
    _run("training", "fit", "--data", arguments.data, "--out", row.checkpoint, *changes)


def _build(row: Row, data: Path) -> None:
    if row.bundle.exists():
        return
    given = ("--checkpoint", row.checkpoint, "--data", data, "--out", row.bundle)
    _run("export", "build", *given, *(("--dim", row.dim) if row.dim != 384 else ()))


def _run(*words: object) -> None:
    subprocess.run([sys.executable, "-m", *map(str, words)], check=True)  # noqa: S603  # our own


def _measured(rows: list[Row], data: Path) -> list[dict[str, Any]]:
    folder = read_data_folder(data)
    served = [open_recommender(row.bundle) for row in rows]
    texts = [query.text for query in folder.split("test")[:TEXTS]]
    milliseconds = _lone_texts([recommender for recommender, _ in served], texts)
    found: list[dict[str, Any]] = []
    for row, (recommender, manifest), taken in zip(rows, served, milliseconds, strict=True):
        figures = {
            split: _kept(evaluate(recommender, manifest, folder.split(split)).figures())
            for split in SPLITS
        }
        ratios = [full / own for full, own in zip(milliseconds[0], taken, strict=True)]
        found.append(
            {
                "row": row.title,
                "settings": list(RECIPES[row.name]),
                "queries": {split: len(folder.split(split)) for split in SPLITS},
                **figures,
                "lone_text_ms": median(taken),
                "times_as_fast": median(ratios),
                "times_as_fast_rounds": ratios,
                "bytes_a_product": FLOAT_BYTES * manifest.encoder.dim,
                "encoder_bytes": (row.bundle / bundles.ENCODER).stat().st_size,
                "training_steps_seconds": _steps_seconds(row.checkpoint),
            }
        )
    return found


def _lone_texts(recommenders: list[Recommender], texts: list[str]) -> list[list[float]]:
    """Return the milliseconds of a lone text, by recommender and round; they take turns."""
    taken: list[list[float]] = [[] for _ in recommenders]
    with progress(ROUNDS, "lone texts", unit="rounds") as shown:
        for turn in range(-1, ROUNDS):  # the first warms up
            for recommender, its in zip(recommenders, taken, strict=True):
                started = time.perf_counter()
                for text in texts:
                    recommender.encoder.embed([text])
                if turn >= 0:
                    its.append((time.perf_counter() - started) / len(texts) * 1000)
            shown.advance(turn >= 0)
    return taken


def _kept(figures: dict[str, Any]) -> dict[str, Any]:
    names = ("precision_at_1", "recall_at_10", "oracle_coverage", "coverage", "accepted_precision")
    return {name: figures[name] for name in names}


def _steps_seconds(checkpoint: Path) -> float:
    return sum(line.get("seconds", 0.0) for line in read_log(checkpoint / "log.jsonl"))


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"always": list(ALWAYS), "epochs": arguments.epochs, "timed_texts": TEXTS}


def _table(rows: list[dict[str, Any]]) -> list[str]:
    head = ("encoder", "P@1", "R@10", "oracle 90", "oracle 95", "times as fast", "bytes a product")
    return table(
        head,
        [
            [
                row["row"],
                f"{row['test']['precision_at_1']:.3f}",
                f"{row['test']['recall_at_10']:.3f}",
                *(f"{row['test']['oracle_coverage'][at]:.3f}" for at in ("0.90", "0.95")),
                f"{row['times_as_fast']:.2f}",
                str(row["bytes_a_product"]),
            ]
            for row in rows
        ],
    )


if __name__ == "__main__":
    main()

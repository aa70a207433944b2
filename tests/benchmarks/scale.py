"""Catalogues from ten thousand to ten million products: what they cost to build and to search.

Run by `make bench-scale`; asserts nothing. Up to a million the vectors are those of invented
titles, made by the exported encoder (`scale_vectors`: over an hour of one core for a million);
beyond, or beyond `--encoded`, further ones are drawn after them (`scale_drawn`). The index is the
one that `export build` would choose with a bound of 8 GB. Every measure has a process of its own
and one thread; a size that was measured before, on the same file of figures, is kept unless it is
asked for.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.figures_file import write_figures
from tests.benchmarks.machine import machine
from tests.benchmarks.scale_cases import MEASURES
from tests.benchmarks.scale_drawn import drawn, statistics
from tests.benchmarks.scale_offers import make_offers
from tests.benchmarks.scale_report import lines
from tests.benchmarks.scale_vectors import encode_titles, exported, note_of, open_encoder, rows_made
from training.console import say

ENCODED = 1_000_000
"""The file of the vectors of titles has room for so many."""
READ = 1_000_000
"""Up to so many products the parts of a build besides encoding and indexing are measured."""
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)


def main() -> None:
    """Measure every size that is asked for and write the figures after each."""
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".scale"), help="keeps the vectors")
    parser.add_argument("--json", type=Path, default=Path("scale.json"), metavar="FILE")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--encoder", type=Path, help="folder of another exported encoder")
    parser.add_argument("--titles", default="titles-fp32", help="name of its file of vectors")
    parser.add_argument(
        "--encoded", type=int, default=ENCODED, help="up to so many products, all are encoded"
    )
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    encoder = arguments.encoder or exported(folder / "encoder")
    titles = folder / f"{arguments.titles}.npy"
    offers = folder / f"offers-{arguments.titles}.npy"
    make_offers(offers, open_encoder(encoder))
    figures = _figures_so_far(arguments.json)
    for size in sorted(arguments.sizes):
        vectors = _vectors(titles, encoder, size, encoded=min(arguments.encoded, ENCODED))
        found = _measure(vectors, size, encoder=encoder, offers=offers)
        figures["sizes"][str(size)] = found
        figures["machine"] = machine()
        write_figures(figures, arguments.json)
    for line in lines(figures):
        say(line)


def _figures_so_far(path: Path) -> dict[str, Any]:
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    return {"machine": machine(), "sizes": {}}


def _vectors(titles: Path, encoder: Path, size: int, *, encoded: int) -> Path:
    """Return a file of at least ``size`` vectors, made if it is not there."""
    if size <= encoded:
        if rows_made(titles) < size:
            encode_titles(titles, encoder, rows=ENCODED, until=size)
        return titles
    path = titles.with_name(f"drawn-{size}.npy")
    drawn(path, titles, rows=size)
    return path


def _measure(vectors: Path, size: int, *, encoder: Path, offers: Path) -> dict[str, Any]:
    say(f"{size:,} products")
    with tempfile.TemporaryDirectory(dir=vectors.parent) as work:
        options = ["--vectors", vectors, "--products", size, "--work", work]
        options += ["--encoder", encoder, "--offers", offers]
        found = {
            measure: _in_own_process([measure, *map(str, options)])
            for measure in MEASURES
            if measure != "reading" or size <= READ
        }
    note = json.loads(note_of(vectors).read_text())
    lie = statistics(np.load(vectors, mmap_mode="r")[:size])
    return {"vectors": vectors.stem, "made": note, **found, "lie": lie}


def _in_own_process(options: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.scale_cases", *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    *said, measured = done.stdout.splitlines()
    for line in said:
        say(f"  {line}")
    return json.loads(measured, parse_float=lambda digits: float(f"{float(digits):.4g}"))


if __name__ == "__main__":
    main()

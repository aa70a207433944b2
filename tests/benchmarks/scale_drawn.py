"""Millions of vectors that lie as those of titles do, without the days it takes to encode them.

The encoded titles come first, so that what is asked for is among them; the others are drawn.

A catalogue is families of siblings. Consecutive rows of the encoded titles are taken as families.
A new one is an old one that is turned as a whole, so that its siblings lie to each other as before,
onto another centre: on the line through its own and that of a family near it, between the two or
beyond. `statistics` says what came of it.
"""

import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float32, Int64

from tests.benchmarks.scale_vectors import rows_made
from training.console import progress
from training.data.table_writer import write_bytes

SIBLINGS = 9
"""Rows taken as a family; the invented catalogue has nine products a family on average."""
CANDIDATES = 64
"""Other families that are looked at for a near one; the nearest of them is taken."""
BLOCK = 4_000
"""Families made at a time."""
ASKED = 500
"""Rows whose neighbours are looked for, to compare statistics."""

Table = Float32[np.ndarray, "row dim"]


def drawn(path: Path, encoded: Path, *, rows: int, seed: int = 0) -> Table:
    """Return ``rows`` vectors, made once, mapped from ``path``.

    Those in ``encoded`` come first; the others are drawn after them.
    """
    note = path.with_suffix(".json")
    base = np.load(encoded, mmap_mode="r")[: rows_made(encoded)]
    if not note.is_file() or json.loads(note.read_text())["rows"] != rows:
        table = np.lib.format.open_memmap(path, "w+", np.float32, (rows, base.shape[1]))
        table[: len(base)] = base[:rows]
        fill(table[len(base) :], base, seed=seed)
        table.flush()
        facts = {"rows": rows, "base_rows": len(base), "seed": seed}
        write_bytes(note, json.dumps(facts).encode())
    return np.load(path, mmap_mode="r")


def fill(table: Table, base: Table, *, seed: int) -> None:
    """Fill ``table`` with vectors drawn after those of ``base``."""
    chance = np.random.default_rng(seed)
    families = base[: len(base) // SIBLINGS * SIBLINGS].reshape(-1, SIBLINGS, base.shape[1])
    centres = np.concatenate([_units(part.mean(axis=1)) for part in _parts(families)])
    step = BLOCK * SIBLINGS
    with progress(len(table), "drawing vectors", unit="products") as shown:
        for start in range(0, len(table), step):
            some = table[start : start + step]
            chosen = np.sort(chance.integers(len(families), size=-(-len(some) // SIBLINGS)))
            turned = _turned(families[chosen], centres[chosen], _near(centres, chosen, chance))
            some[:] = turned.reshape(-1, base.shape[1])[: len(some)]
            shown.advance(len(some))


def statistics(vectors: Table, *, seed: int = 0) -> dict[str, Any]:
    """Return quantiles of the similarity of a row's nearest, tenth and any other row."""
    chance = np.random.default_rng(seed)
    asked = np.sort(chance.choice(len(vectors), min(ASKED, len(vectors)), replace=False))
    queries = np.ascontiguousarray(vectors[asked])
    best, _ = faiss.knn(queries, vectors, 11, metric=faiss.METRIC_INNER_PRODUCT)
    others = queries @ vectors[np.sort(chance.choice(len(vectors), len(asked), replace=False))].T
    return {
        "nearest": _quantiles(best[:, 1]),
        "tenth": _quantiles(best[:, 10]),
        "any": _quantiles(others[others < 1 - 1e-6]),
    }


def _turned(
    families: Float32[np.ndarray, "family sibling dim"], centres: Table, onto: Table
) -> Float32[np.ndarray, "family sibling dim"]:
    """Return each family mirrored so that its centre lies where ``onto`` says."""
    mirror = _units(centres - onto)[:, :, np.newaxis]  # swaps the two unit vectors
    return families - 2 * (families @ mirror) * mirror.transpose(0, 2, 1)


def _near(
    centres: Table, chosen: Int64[np.ndarray, " family"], chance: np.random.Generator
) -> Table:
    """Return new centres on the line through each chosen family's and that of one near it."""
    others = chance.integers(len(centres), size=(len(chosen), CANDIDATES))
    near = np.empty(len(chosen), dtype=np.int64)
    for start in range(0, len(chosen), 256):
        rows = slice(start, start + 256)
        similarity = np.einsum("fd,fcd->fc", centres[chosen[rows]], centres[others[rows]])
        similarity[others[rows] == chosen[rows, np.newaxis]] = -np.inf
        near[rows] = np.take_along_axis(others[rows], similarity.argmax(1)[:, np.newaxis], 1)[:, 0]
    share = chance.uniform(0.3, 0.7, size=(len(chosen), 1)).astype(np.float32)
    share += chance.integers(2, size=share.shape, dtype=np.int32)  # half of them lie beyond
    return _units(share * centres[chosen] + (1 - share) * centres[near])


def _units(vectors: Table) -> Table:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _parts(families: Float32[np.ndarray, "family sibling dim"]) -> list[np.ndarray]:
    return [families[start : start + BLOCK] for start in range(0, len(families), BLOCK)]


def _quantiles(similarity: np.ndarray) -> dict[str, float]:
    at = (0.05, 0.25, 0.5, 0.75, 0.95)
    return {f"p{round(100 * q)}": round(float(np.quantile(similarity, q)), 3) for q in at}

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import scale_drawn
from tests.benchmarks.scale_drawn import SIBLINGS, drawn, fill, statistics
from tests.benchmarks.scale_vectors import note_of
from tests.clustered import clustered_units

BASE = clustered_units(40 * SIBLINGS, 16)


def table(rows: int, *, seed: int) -> np.ndarray:
    found = np.empty((rows, 16), dtype=np.float32)
    fill(found, BASE, seed=seed)
    return found


def test_drawn_vectors_are_of_length_one_and_follow_from_the_seed() -> None:
    one = table(500, seed=0)

    assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)
    assert np.array_equal(one, table(500, seed=0))
    assert not np.allclose(one, table(500, seed=1), atol=1e-3)


def test_siblings_lie_to_each_other_as_those_of_one_old_family_do() -> None:
    def inside(vectors: np.ndarray) -> np.ndarray:
        families = vectors.reshape(-1, SIBLINGS, 16)
        return np.einsum("fad,fbd->fab", families, families).reshape(len(families), -1)

    new, old = inside(table(20 * SIBLINGS, seed=0)), inside(BASE)

    nearest = np.abs(new[:, np.newaxis] - old).max(axis=2).min(axis=1)
    assert (nearest < 1e-4).all()


def test_most_vectors_are_no_copies_of_old_ones() -> None:
    similarity = table(20 * SIBLINGS, seed=0) @ BASE.T

    assert np.median(similarity.max(axis=1)) < 0.99


def test_vectors_are_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = tmp_path / "encoded.npy"
    np.save(encoded, BASE)
    note_of(encoded).write_text(f'{{"rows": {len(BASE)}}}')
    rows = len(BASE) + 100
    first = np.array(drawn(tmp_path / "drawn.npy", encoded, rows=rows))
    monkeypatch.setattr(scale_drawn, "fill", lambda *_, **__: pytest.fail("they are there"))

    assert np.array_equal(drawn(tmp_path / "drawn.npy", encoded, rows=rows), first)
    assert np.array_equal(first[: len(BASE)], BASE)
    assert np.array_equal(first[len(BASE) :], table(100, seed=0))


def test_statistics_are_of_other_rows_than_the_row_itself() -> None:
    found = statistics(np.eye(20, dtype=np.float32))

    assert found["nearest"] == found["tenth"] == dict.fromkeys(found["nearest"], 0.0)
    assert found["any"]["p95"] == 0.0

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from service.contract.errors import CheckpointError
from tests.benchmarks import scale_vectors
from tests.benchmarks.scale_vectors import encode_titles, open_encoder, rows_made, titles
from training.folder_lock import alone_in


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale_vectors, "BLOCK", 4)


def test_titles_differ_and_may_be_started_anywhere() -> None:
    some = list(islice(titles(), 3000))

    assert len({*some}) == 3000
    assert list(islice(titles(start=1234), 10)) == some[1234:1244]


def test_a_stopped_encoding_goes_on_to_the_same_vectors(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "titles.npy"
    encode_titles(path, tiny_bundle, rows=10, until=4)
    assert rows_made(path) == 4

    encode_titles(path, tiny_bundle, rows=10, until=10)

    expected = open_encoder(tiny_bundle).embed(list(islice(titles(), 10)))
    assert rows_made(path) == 10
    assert np.allclose(np.load(path), expected, atol=1e-6)


def test_vectors_of_another_encoder_or_size_are_not_gone_on_with(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / "titles.npy"
    encode_titles(path, tiny_bundle, rows=10, until=4)

    with pytest.raises(SystemExit, match="has 10 rows"):
        encode_titles(path, tiny_bundle, rows=11, until=4)
    scale_vectors.note_of(path).write_text('{"encoder": "other", "rows": 4, "cpu_seconds": 0}')
    with pytest.raises(SystemExit, match="of another encoder"):
        encode_titles(path, tiny_bundle, rows=10, until=10)


def test_one_process_at_a_time_encodes_into_a_file(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "titles.npy"
    with alone_in(path), pytest.raises(CheckpointError, match="another process encodes into"):
        encode_titles(path, tiny_bundle, rows=10, until=4)

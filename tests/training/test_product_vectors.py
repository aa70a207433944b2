from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.errors import CheckpointError
from training.product_vectors import (
    ROWS,
    VECTORS,
    ProductVectors,
    product_vectors,
    read_product_vectors,
)

TEXTS = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
TRAINED = np.array([[0, -1], [-1, 0]], dtype=np.float32)


def two_products() -> ProductVectors:
    """Return the vectors of a lamp and of a kettle."""
    return product_vectors(TRAINED, [1, 0], ["p1", "p2"], ["red lamp", "kettle"])


def test_a_product_has_its_vector_by_id_and_text() -> None:
    found = two_products().laid_over(TEXTS, ["p2", "p1", "p3"], ["kettle", "red lamp", "drill"])

    assert found.tolist() == [TRAINED[0].tolist(), TRAINED[1].tolist(), TEXTS[2].tolist()]
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("product_id", "text", "row"),
    [
        ("p1", "red lamp", 1),
        ("p1", "  RED   Lamp ", 1),
        ("p1", "blue lamp", -1),
        ("p9", "red lamp", -1),
        ("p2", "red lamp", -1),
        ("P1", "red lamp", -1),
        ("p1", "", -1),
    ],
)
def test_a_reworded_or_new_product_has_none_and_a_text_that_normalises_alike_has(
    product_id: str, text: str, row: int
) -> None:
    assert two_products().rows([product_id], [text]).tolist() == [row]


def test_two_products_may_share_a_vector() -> None:
    twins = product_vectors(TRAINED[:1], [0, 0], ["a", "b"], ["lamp", "Lamp"])

    assert twins.rows(["a", "b"], ["lamp", "lamp"]).tolist() == [0, 0]


def test_an_empty_catalogue_has_no_vectors() -> None:
    found = two_products().laid_over(TEXTS[:0], [], [])

    assert found.shape == (0, 2)


def test_the_embeddings_given_are_not_changed() -> None:
    texts = TEXTS.copy()

    two_products().laid_over(texts, ["p1", "p2", "p3"], ["red lamp", "kettle", "drill"])

    assert np.array_equal(texts, TEXTS)


def test_vectors_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    names = ["p1", 'quote " and \\ and \n', "Ünï ✓", "lone \ud800"]
    vectors = product_vectors(
        np.eye(4, 3, dtype=np.float32), [3, 1, 2, 0], names, ["a", "b", "c", "d"]
    )
    vectors.write(tmp_path)

    found = read_product_vectors(tmp_path)

    assert found is not None
    assert found.row_of == vectors.row_of
    assert np.array_equal(found.vectors, vectors.vectors)


def test_a_folder_without_vectors_has_none(tmp_path: Path) -> None:
    assert read_product_vectors(tmp_path) is None


@pytest.mark.parametrize("name", [VECTORS, ROWS])
def test_a_missing_half_is_an_error(tmp_path: Path, name: str) -> None:
    two_products().write(tmp_path)
    (tmp_path / name).unlink()

    with pytest.raises(CheckpointError, match=r"product vectors .* are damaged .*train again"):
        read_product_vectors(tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        '["p1", "00", 2]\n',
        '["p1", "00", -1]\n',
        '["p1", "00"]\n',
        '["p1", "00", "x"]\n',
        '["p1", "00", null]\n',
        "5\n",
        '["p1", "0',
        "\xff\xfe",
    ],
)
def test_rows_that_cannot_be_are_an_error(tmp_path: Path, lines: str) -> None:
    two_products().write(tmp_path)
    (tmp_path / ROWS).write_bytes(lines.encode("latin-1"))

    with pytest.raises(CheckpointError, match="are damaged"):
        read_product_vectors(tmp_path)


@pytest.mark.parametrize(
    "vectors",
    [
        np.array([[0, np.nan], [1, 0]], dtype=np.float32),
        np.array([[0, np.inf], [1, 0]], dtype=np.float32),
        np.eye(2),
        np.ones(4, dtype=np.float32),
        np.array([{"a": 1}], dtype=object),
    ],
)
def test_vectors_that_are_no_table_of_finite_numbers_are_an_error(
    tmp_path: Path, vectors: np.ndarray
) -> None:
    two_products().write(tmp_path)
    np.save(tmp_path / VECTORS, vectors, allow_pickle=True)

    with pytest.raises(CheckpointError, match="are damaged"):
        read_product_vectors(tmp_path)


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_torn_file_of_vectors_is_an_error(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    two_products().write(folder)
    whole = (folder / VECTORS).read_bytes()
    (folder / VECTORS).write_bytes(whole[: int(share * len(whole))])

    with pytest.raises(CheckpointError, match="are damaged"):
        read_product_vectors(folder)


def test_a_file_of_something_else_is_an_error(tmp_path: Path) -> None:
    """A zip archive is what numpy takes for several arrays."""
    two_products().write(tmp_path)
    for content in (b"PK\x03\x04 and no more", b"hello", b""):
        (tmp_path / VECTORS).write_bytes(content)

        with pytest.raises(CheckpointError, match="are damaged"):
            read_product_vectors(tmp_path)
    np.savez(tmp_path / "other.npz", TRAINED)
    (tmp_path / "other.npz").replace(tmp_path / VECTORS)
    with pytest.raises(CheckpointError, match="are damaged"):
        read_product_vectors(tmp_path)

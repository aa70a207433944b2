from pathlib import Path

import faiss
import numpy as np
import pytest

from export import product_index
from export.product_index import ReadProducts, write_index
from service.contract.errors import BundleError
from service.encoder import Encoder
from tests.poison import PoisonSession
from tests.tiny import DIM, PRODUCTS, open_tiny
from training.data.products import Product, Products
from training.product_vectors import ProductVectors, product_vectors

CATALOGUE = Products(tuple(Product(i, title, None, {}) for i, title, _ in PRODUCTS), ())
TITLES = [product.title for product in CATALOGUE.items]


def read(encoder: Encoder, titles: list[str] = TITLES) -> ReadProducts:
    items = zip(CATALOGUE.product_ids(), titles, strict=True)
    products = Products(tuple(Product(i, title, None, {}) for i, title in items), ())
    return ReadProducts(products, titles, encoder.tokenise(titles))


def vectors_of(path: Path) -> np.ndarray:
    index = faiss.read_index(str(path))
    return index.reconstruct_n(0, index.ntotal)


def unit_vectors(rows: int, dim: int = DIM) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def trained_vectors(products: int) -> ProductVectors:
    """Vectors of the first products, in the order of the last of them first."""
    rows = list(range(products))[::-1]
    ids = CATALOGUE.product_ids()[:products]
    return product_vectors(unit_vectors(products), rows, ids, TITLES[:products])


def test_rows_are_those_of_the_catalogue_whatever_the_block(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = open_tiny(tiny_bundle).encoder
    monkeypatch.setattr(product_index, "_BLOCK", 3)

    assert write_index(tmp_path / "index", encoder, read(encoder), None) == 0

    vectors = vectors_of(tmp_path / "index")
    assert np.allclose(vectors, encoder.embed(TITLES), atol=1e-6)
    assert np.array_equal(vectors[-2], vectors[-1])


def test_a_product_that_the_encoder_fails_on_is_named(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = open_tiny(tiny_bundle).encoder
    token = encoder.tokenise(["nikon"])[0].ids[1]
    session = PoisonSession(tiny_bundle / "encoder.onnx", token=token, harm="gives NaN")
    monkeypatch.setattr(encoder, "_session", session)

    with pytest.raises(BundleError, match=r"fails on product 'p-6' \(1 in all\)"):
        write_index(tmp_path / "index", encoder, read(encoder), None)


def test_an_index_that_cannot_be_written_is_said_in_one_line(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    encoder = open_tiny(tiny_bundle).encoder

    with pytest.raises(BundleError, match="cannot be written") as caught:
        write_index(tmp_path / "no" / "index", encoder, read(encoder), None)
    assert "\n" not in str(caught.value)


def test_a_trained_vector_is_indexed_as_it_is_and_the_others_are_embedded(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = open_tiny(tiny_bundle).encoder
    monkeypatch.setattr(product_index, "_BLOCK", 3)
    vectors = trained_vectors(4)

    assert write_index(tmp_path / "index", encoder, read(encoder), vectors) == 4

    found = vectors_of(tmp_path / "index")
    assert np.array_equal(found[:4], vectors.vectors[::-1])
    assert np.allclose(found[4:], encoder.embed(TITLES[4:]), atol=1e-6)


def test_a_reworded_product_is_served_by_its_new_text(tiny_bundle: Path, tmp_path: Path) -> None:
    encoder = open_tiny(tiny_bundle).encoder
    titles = ["  SONY wh-1000xm4   black", "Sony silver", *TITLES[2:]]

    assert write_index(tmp_path / "i", encoder, read(encoder, titles), trained_vectors(3)) == 2

    found = vectors_of(tmp_path / "i")
    assert np.array_equal(found[0], trained_vectors(3).vectors[2]), "only case and spaces differ"
    assert np.allclose(found[1], encoder.embed(["Sony silver"])[0], atol=1e-6)


def test_products_of_one_text_may_have_vectors_of_their_own(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    """p-7 and p-8 share their text; one has a vector, or each has another one."""
    encoder = open_tiny(tiny_bundle).encoder
    one, both = unit_vectors(1), unit_vectors(2)
    text_of_p7 = encoder.embed(TITLES[-1:])[0]

    only_p8 = product_vectors(one, [0], ["p-8"], TITLES[-1:])
    write_index(tmp_path / "one", encoder, read(encoder), only_p8)
    write_index(
        tmp_path / "both",
        encoder,
        read(encoder),
        product_vectors(both, [1, 0], ["p-7", "p-8"], TITLES[-2:]),
    )

    found = vectors_of(tmp_path / "one")
    assert np.allclose(found[-2], text_of_p7, atol=1e-6)
    assert np.array_equal(found[-1], one[0])
    assert np.array_equal(vectors_of(tmp_path / "both")[-2:], both[::-1])


def test_a_catalogue_of_trained_products_alone_is_not_embedded(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = open_tiny(tiny_bundle).encoder
    catalogue = read(encoder)
    monkeypatch.setattr(encoder, "encode", lambda _: pytest.fail("nothing is left to embed"))

    trained = write_index(tmp_path / "i", encoder, catalogue, trained_vectors(len(TITLES)))
    assert trained == len(TITLES)


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (unit_vectors(1, DIM + 1), "have 17 numbers, its encoder's embeddings 16; train again"),
        (2 * unit_vectors(1), "are not all of length 1"),
        (np.full((1, DIM), np.nan, dtype=np.float32), "are not all of length 1"),
    ],
)
def test_trained_vectors_that_are_no_cosines_here_are_refused(
    vectors: np.ndarray, said: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    encoder = open_tiny(tiny_bundle).encoder
    wrong = product_vectors(vectors, [0], ["p-1"], TITLES[:1])

    with pytest.raises(BundleError, match=said):
        write_index(tmp_path / "index", encoder, read(encoder), wrong)

from pathlib import Path

import faiss
import numpy as np
import pytest

from export import product_index
from export.product_index import write_index
from service.contract.errors import BundleError
from tests.poison import PoisonSession
from tests.tiny import PRODUCTS, open_tiny
from training.data.products import Product, Products

CATALOGUE = Products(tuple(Product(i, title, None, {}) for i, title, _ in PRODUCTS), ())
TITLES = [product.title for product in CATALOGUE.items]


def test_rows_are_those_of_the_catalogue_whatever_the_block(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = open_tiny(tiny_bundle).encoder
    monkeypatch.setattr(product_index, "_BLOCK", 3)

    write_index(tmp_path / "index", encoder, CATALOGUE, product_text=("title",))

    vectors = faiss.read_index(str(tmp_path / "index")).reconstruct_n(0, len(TITLES))
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
        write_index(tmp_path / "index", encoder, CATALOGUE, product_text=("title",))


def test_an_index_that_cannot_be_written_is_said_in_one_line(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    encoder = open_tiny(tiny_bundle).encoder

    with pytest.raises(BundleError, match="cannot be written") as caught:
        write_index(tmp_path / "no" / "index", encoder, CATALOGUE, product_text=("title",))
    assert "\n" not in str(caught.value)

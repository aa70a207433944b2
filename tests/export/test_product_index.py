from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from export import product_index
from export.product_index import make_vectors
from export.read_products import ReadProducts
from export.vector_file import NOTES
from service.contract.errors import BundleError
from service.contract.tokens import TokenisedText
from service.encoder import Encoder
from tests.poison import PoisonSession
from tests.tiny import DIM, PRODUCTS, open_tiny
from training.data.products import Product, Products
from training.product_vectors import ProductVectors, product_vectors

IDS = [product_id for product_id, _, _ in PRODUCTS]
TITLES = [title for _, title, _ in PRODUCTS]
_CHOSEN = np.random.default_rng(0).integers(7, size=(96, 2)).tolist()
MANY = [f"{TITLES[one]} {TITLES[other]}" for one, other in _CHOSEN]
"""96 titles, for blocks of 10; some are twins of others, most of those in other blocks."""


class Counting:
    """Encodes with a real encoder, counts the texts, and is interrupted at a given block."""

    def __init__(self, encoder: Encoder, *, interrupted_at: int | None = None) -> None:
        self.encode_block, self.interrupted_at = encoder.encode, interrupted_at
        self.texts = self.blocks = 0

    def __call__(self, texts: Sequence[TokenisedText]) -> np.ndarray:
        if self.blocks == self.interrupted_at:
            raise KeyboardInterrupt
        self.blocks += 1
        self.texts += len(texts)
        return self.encode_block(texts)


@pytest.fixture
def encoder(tiny_bundle: Path) -> Encoder:
    return open_tiny(tiny_bundle).encoder


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_index, "_BLOCK", 10)


def read(encoder: Encoder, titles: Sequence[str] = TITLES) -> ReadProducts:
    items = tuple(Product(f"p-{row}", title, None, {}) for row, title in enumerate(titles, start=1))
    return ReadProducts.of(Products(items, ()), titles, encoder.tokeniser)


def made(
    work: Path, encoder: Encoder, catalogue: ReadProducts, vectors: ProductVectors | None = None
) -> tuple[np.ndarray, int]:
    """Return the vectors that `make_vectors` gives, and how many of them are trained."""
    found = make_vectors(work, encoder, catalogue, vectors, encoder_sha256="of the encoder")
    return np.array(found.table), found.trained


def interrupt(
    work: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch, *, at_block: int
) -> None:
    """Leave in ``work`` what a build of `MANY` leaves that is stopped at a block."""
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "encode", Counting(encoder, interrupted_at=at_block))
        with pytest.raises(KeyboardInterrupt):
            made(work, encoder, read(encoder, MANY))


def unit_vectors(rows: int, dim: int = DIM) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def trained_vectors(products: int) -> ProductVectors:
    """Vectors of the first products, in the order of the last of them first."""
    rows = list(range(products))[::-1]
    return product_vectors(unit_vectors(products), rows, IDS[:products], TITLES[:products])


def test_rows_are_those_of_the_catalogue_whatever_the_block(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_index, "_BLOCK", 3)

    vectors, trained = made(tmp_path, encoder, read(encoder))

    assert trained == 0
    assert np.allclose(vectors, encoder.embed(TITLES), atol=1e-6)
    assert np.array_equal(vectors[-2], vectors[-1])


def test_a_product_that_the_encoder_fails_on_is_named(
    tiny_bundle: Path, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = encoder.tokenise(["nikon"])[0].ids[1]
    session = PoisonSession(tiny_bundle / "encoder.onnx", token=token, harm="gives NaN")
    monkeypatch.setattr(encoder, "_session", session)

    with pytest.raises(BundleError, match="fails on product 'p-6'; train again"):
        made(tmp_path, encoder, read(encoder))


def test_a_trained_vector_is_indexed_as_it_is_and_the_others_are_embedded(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_index, "_BLOCK", 3)
    vectors = trained_vectors(4)

    found, trained = made(tmp_path, encoder, read(encoder), vectors)

    assert trained == 4
    assert np.array_equal(found[:4], vectors.vectors[::-1])
    assert np.allclose(found[4:], encoder.embed(TITLES[4:]), atol=1e-6)


def test_a_reworded_product_is_served_by_its_new_text(encoder: Encoder, tmp_path: Path) -> None:
    titles = ["  SONY wh-1000xm4   black", "Sony silver", *TITLES[2:]]

    found, trained = made(tmp_path, encoder, read(encoder, titles), trained_vectors(3))

    assert trained == 2
    assert np.array_equal(found[0], trained_vectors(3).vectors[2]), "only case and spaces differ"
    assert np.allclose(found[1], encoder.embed(["Sony silver"])[0], atol=1e-6)


def test_products_of_one_text_may_have_vectors_of_their_own(
    encoder: Encoder, tmp_path: Path
) -> None:
    """p-7 and p-8 share their text; one has a vector, or each has another one."""
    one, both = unit_vectors(1), unit_vectors(2)
    text_of_p7 = encoder.embed(TITLES[-1:])[0]

    only_p8 = product_vectors(one, [0], ["p-8"], TITLES[-1:])
    found, _ = made(tmp_path, encoder, read(encoder), only_p8)
    of_both = product_vectors(both, [1, 0], ["p-7", "p-8"], TITLES[-2:])
    found_both, _ = made(tmp_path, encoder, read(encoder), of_both)

    assert np.allclose(found[-2], text_of_p7, atol=1e-6)
    assert np.array_equal(found[-1], one[0])
    assert np.array_equal(found_both[-2:], both[::-1])


def test_a_catalogue_of_trained_products_alone_is_not_embedded(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = read(encoder)
    monkeypatch.setattr(encoder, "encode", lambda _: pytest.fail("nothing is left to embed"))

    _, trained = made(tmp_path, encoder, catalogue, trained_vectors(len(TITLES)))
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
    vectors: np.ndarray, said: str, encoder: Encoder, tmp_path: Path
) -> None:
    wrong = product_vectors(vectors, [0], ["p-1"], TITLES[:1])

    with pytest.raises(BundleError, match=said):
        made(tmp_path, encoder, read(encoder), wrong)


@pytest.mark.usefixtures("small_blocks")
def test_twins_of_other_blocks_have_the_very_same_vector(encoder: Encoder, tmp_path: Path) -> None:
    vectors, _ = made(tmp_path, encoder, read(encoder, MANY))

    distinct = {title: MANY.index(title) for title in MANY}
    assert len(distinct) < len(MANY) - 10
    assert all(np.array_equal(vectors[row], vectors[distinct[t]]) for row, t in enumerate(MANY))


@pytest.mark.parametrize("at_block", [0, 1, 3])
@pytest.mark.usefixtures("small_blocks")
def test_an_interrupted_build_goes_on_where_it_stopped(
    at_block: int, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = made(tmp_path, encoder, read(encoder, MANY))
    again = tmp_path / "again"
    again.mkdir()
    interrupt(again, encoder, monkeypatch, at_block=at_block)
    counting = Counting(encoder)
    monkeypatch.setattr(encoder, "encode", counting)

    found, _ = made(again, encoder, read(encoder, MANY))

    new = [len({*MANY[at : at + 10]} - {*MANY[:at]}) for at in range(0, len(MANY), 10)]
    assert np.array_equal(found, expected)
    assert counting.texts == sum(new[at_block:])


@pytest.mark.parametrize("changed", ["a title", "the encoder", "a trained vector", "a note"])
@pytest.mark.usefixtures("small_blocks")
def test_vectors_of_something_else_are_made_anew_and_that_is_said(
    changed: str,
    encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    interrupt(tmp_path, encoder, monkeypatch, at_block=3)
    titles = ["nikon", *MANY[1:]] if changed == "a title" else MANY
    vectors = product_vectors(unit_vectors(1), [0], ["p-1"], MANY[:1])
    if changed == "a note":
        (tmp_path / NOTES).write_bytes((tmp_path / NOTES).read_bytes()[1:])

    found = make_vectors(
        tmp_path,
        encoder,
        read(encoder, titles),
        vectors if changed == "a trained vector" else None,
        encoder_sha256="another" if changed == "the encoder" else "of the encoder",
    )

    assert "are of another encoder or catalogue, or damaged" in capsys.readouterr().err
    expected = encoder.embed(titles)
    if changed == "a trained vector":
        expected[0] = unit_vectors(1)[0]
    assert np.allclose(found.table, expected, atol=1e-6)


@pytest.mark.usefixtures("small_blocks")
def test_a_catalogue_in_other_words_of_the_same_tokens_goes_on(
    encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    interrupt(tmp_path, encoder, monkeypatch, at_block=2)

    made(tmp_path, encoder, read(encoder, [f" {title.upper()}" for title in MANY]))

    assert "20 of 96 products were embedded before" in capsys.readouterr().out

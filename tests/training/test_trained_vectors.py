"""The vectors that a run leaves to its products, from its steps to its checkpoint."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny_data import tiny_config
from tests.training.tiny_runs import advance, advanced
from training import trained_vectors as module
from training.checkpoint import load_checkpoint
from training.config import Config
from training.data.folders import DataFolder
from training.data.products import Product, Products
from training.embedding import embed
from training.loop import fit
from training.product_vectors import ProductVectors
from training.run import Run, set_up
from training.trained_vectors import served_vectors, trained_vectors

WITH_VECTORS = pytest.mark.parametrize("base", ["dexa", "prime"])


def recipe(encoder: Path, base: str) -> Config:
    return tiny_config(encoder, f"objective.base={base}", "objective.products.learning_rate=0.05")


def found_in(run: Run, data: DataFolder) -> ProductVectors:
    found = trained_vectors(run, data)
    assert found is not None
    return found


def texts_of(data: DataFolder) -> list[str]:
    return data.products.texts(("title",))


def text_embeddings(run: Run, data: DataFolder) -> np.ndarray:
    return embed(run.encoder.model, run.tokeniser(texts_of(data)), run.tokeniser, what="test")


@pytest.mark.parametrize("base", ["dexml", "ngame"])
def test_a_base_that_knows_texts_alone_leaves_none(
    data: DataFolder, encoder: Path, base: str
) -> None:
    run, _ = advanced(recipe(encoder, base), data, 5)

    assert trained_vectors(run, data) is None


@WITH_VECTORS
def test_a_run_that_has_not_looked_at_its_products_leaves_none(
    data: DataFolder, encoder: Path, base: str
) -> None:
    assert trained_vectors(set_up(recipe(encoder, base), data), data) is None


@WITH_VECTORS
def test_they_are_what_the_step_compares_queries_with_without_dropout(
    data: DataFolder, encoder: Path, base: str
) -> None:
    run, _ = advanced(recipe(encoder, base), data, 10)
    found = found_in(run, data)
    side, texts = run.objective.side, text_embeddings(run, data)
    assert side is not None
    with torch.no_grad():
        expected = side(torch.from_numpy(texts), torch.from_numpy(run.data.row_of_product)).numpy()

    served = found.laid_over(texts, data.products.product_ids(), texts_of(data))
    assert served == pytest.approx(expected, abs=1e-5)
    assert np.abs(served - texts).max() > 0.01
    assert np.linalg.norm(served, axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-5)


def test_prime_leaves_products_without_training_queries_to_their_text(
    data: DataFolder, encoder: Path
) -> None:
    run, _ = advanced(recipe(encoder, "prime"), data, 10)
    found = found_in(run, data)

    assert {product_id for product_id, _ in found.row_of} == data.trained_products()
    texts = text_embeddings(run, data)
    served = found.laid_over(texts, data.products.product_ids(), texts_of(data))
    untrained = [name not in data.trained_products() for name in data.products.product_ids()]
    assert sum(untrained) == 6
    assert np.array_equal(served[untrained], texts[untrained])


def test_dexa_has_a_vector_for_every_product(data: DataFolder, encoder: Path) -> None:
    run, _ = advanced(recipe(encoder, "dexa"), data, 10)

    assert {product_id for product_id, _ in found_in(run, data).row_of} == set(
        data.products.product_ids()
    )


@WITH_VECTORS
@pytest.mark.parametrize("steps", [0, 10])
def test_a_validation_compares_queries_with_the_very_vectors_that_a_checkpoint_would_serve(
    data: DataFolder, encoder: Path, base: str, steps: int
) -> None:
    run, _ = advanced(recipe(encoder, base), data, steps)
    found, texts = trained_vectors(run, data), text_embeddings(run, data)

    served = served_vectors(run, what="test")[run.data.row_of_product]

    ids = data.products.product_ids()
    expected = texts if found is None else found.laid_over(texts, ids, texts_of(data))
    assert np.array_equal(served, expected)


@WITH_VECTORS
def test_products_of_one_text_share_their_vector(
    data: DataFolder, encoder: Path, base: str
) -> None:
    first = data.products.items[0]
    twin = Product("p-twin", first.title, None, {})
    items = (*data.products.items, twin)
    twins = DataFolder(data.path, Products(items, data.products.attribute_names), data.queries)
    run, _ = advanced(recipe(encoder, base), twins, 6)

    found = found_in(run, twins).rows([first.product_id, "p-twin"], [first.title] * 2)
    assert found[0] == found[1] >= 0


@WITH_VECTORS
def test_many_products_are_done_part_by_part(
    data: DataFolder, encoder: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    run, _ = advanced(recipe(encoder, base), data, 6)
    whole = found_in(run, data)
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 7)

    in_parts = found_in(run, data)

    assert in_parts.row_of == whole.row_of
    assert in_parts.vectors == pytest.approx(whole.vectors, abs=1e-6)


def test_looking_at_them_changes_no_later_step(data: DataFolder, encoder: Path) -> None:
    watched, left = (set_up(recipe(encoder, "prime"), data) for _ in range(2))
    for run in (watched, left):
        advance(run, 4)
    trained_vectors(watched, data)

    assert watched.encoder.model.training
    assert [f.losses for f in advance(watched, 3)] == [f.losses for f in advance(left, 3)]


@WITH_VECTORS
@pytest.mark.usefixtures("without_curves")
def test_a_checkpoint_gives_back_the_vectors_of_its_run(
    tmp_path: Path, data: DataFolder, encoder: Path, base: str
) -> None:
    run, _ = advanced(recipe(encoder, base), data, 15)
    fit(recipe(encoder, base), data, tmp_path / "checkpoint")

    read, expected = load_checkpoint(tmp_path / "checkpoint").product_vectors, found_in(run, data)
    assert read is not None
    assert read.row_of == expected.row_of
    assert np.array_equal(read.vectors, expected.vectors)

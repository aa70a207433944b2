"""Who shares a batch, and what is looked at again, at which step of a run."""

from pathlib import Path

import numpy as np
import pytest

from tests.tiny_data import tiny_config
from tests.training.tiny_runs import advance, advanced
from training import dealing
from training.data.folders import DataFolder
from training.dealing import companions, prepare_step
from training.embedding import embed
from training.run import Run, set_up

STEPS_PER_EPOCH = 5


def at_step(run: Run, step: int) -> Run:
    """Prepare every step up to this one, without taking any: the encoder stays as it is."""
    for number in range(run.step, step + 1):
        run.step = number
        prepare_step(run)
    return run


def similarity(run: Run) -> np.ndarray:
    """Return the cosine of each training query with each product, by the encoder as it stands."""
    queries, products = (
        embed(run.encoder.model, texts, run.tokeniser, what="test")
        for texts in (run.data.queries, run.data.products)
    )
    return queries @ products.T


def test_the_first_epochs_are_shuffled_and_no_two_alike(data: DataFolder, encoder: Path) -> None:
    run = set_up(tiny_config(encoder, "batches.neighbours=1"), data)

    orders = [at_step(run, epoch * STEPS_PER_EPOCH).order.tolist() for epoch in range(3)]
    assert run.clusters is None
    assert all(sorted(order) == list(range(72)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_without_neighbours_mined_negatives_or_vectors_nothing_is_embedded(
    data: DataFolder, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        message = "nobody asked for embeddings"
        raise AssertionError(message)

    monkeypatch.setattr(dealing, "embed", refuse)
    run = set_up(tiny_config(encoder, "batches.neighbours=1"), data)

    at_step(run, run.steps - 1)


def test_from_their_start_on_a_batch_is_made_of_whole_neighbourhoods(
    data: DataFolder, encoder: Path
) -> None:
    """Cut into batches, the queries of a neighbourhood lie in one batch, or in two."""
    run = set_up(tiny_config(encoder), data)
    assert at_step(run, 3).clusters is None

    at_step(run, STEPS_PER_EPOCH)
    assert run.clusters is not None
    changes = (np.diff(run.clusters[run.order]) != 0).sum()
    assert changes == len(np.unique(run.clusters)) - 1


def test_neighbours_begun_within_an_epoch_ask_nobody_twice(data: DataFolder, encoder: Path) -> None:
    run = at_step(set_up(tiny_config(encoder), data), 3)
    before = run.order.copy()
    asked = np.concatenate([run.batch(number) for number in range(4)])

    at_step(run, 4)

    assert run.clusters is not None
    assert run.order[: len(asked)].tolist() == asked.tolist() == before[: len(asked)].tolist()
    assert sorted(run.order) == list(range(72))
    assert run.order.tolist() != before.tolist()


def test_neighbours_of_products_keep_queries_of_one_product_together(
    data: DataFolder, encoder: Path
) -> None:
    run = at_step(set_up(tiny_config(encoder), data), 4)

    assert run.clusters is not None
    first = [positives[0] for positives in run.data.positives]
    assert len(set(zip(first, run.clusters.tolist(), strict=True))) == len(set(first))


@pytest.mark.parametrize(("step", "size"), [(4, 4), (7, 4), (8, 8), (12, 16)])
def test_neighbourhoods_of_queries_are_even_and_double(
    data: DataFolder, encoder: Path, step: int, size: int
) -> None:
    config = tiny_config(encoder, "batches.clusters_of=queries", "batches.double_every_ratio=0.25")
    run = at_step(set_up(config, data), step)

    assert run.clusters is not None
    sizes = np.bincount(run.clusters)
    assert size / 2 < sizes.max() <= size
    assert sizes.max() - sizes.min() <= 1


def test_mined_negatives_are_the_most_similar_products_that_are_not_known_to_be_right(
    data: DataFolder, encoder: Path
) -> None:
    config = tiny_config(encoder, "batches.products=mined", "batches.mined=3")
    run = set_up(config, data)
    assert at_step(run, 3).mined is None

    at_step(run, 4)
    assert run.mined is not None
    for row, cosines in enumerate(similarity(run)):
        cosines[list(run.data.positives[row])] = -np.inf
        best = np.sort(cosines)[::-1][:3]
        assert cosines[run.mined[row]].tolist() == pytest.approx(best.tolist(), abs=1e-5)


def test_likely_false_negatives_are_not_mined_where_they_are_dropped(
    data: DataFolder, encoder: Path
) -> None:
    config = tiny_config(
        encoder,
        "batches.products=mined",
        "batches.mined=3",
        "objective.false_negatives.drop=true",
        "objective.false_negatives.margin=-0.05",
    )
    run = at_step(set_up(config, data), 4)

    assert run.mined is not None
    cosines = similarity(run)
    for row, mined in enumerate(run.mined):
        limit = cosines[row, list(run.data.positives[row])].max() - 0.05
        assert (cosines[row, mined[mined >= 0]] <= limit + 1e-4).all()


def test_mined_negatives_are_looked_for_anew_with_the_encoder_as_it_stands(
    data: DataFolder, encoder: Path
) -> None:
    config = tiny_config(encoder, "batches.products=mined", "optimiser.learning_rate=0.01")
    run, _ = advanced(config, data, 5)
    first = run.mined
    advance(run, 4)

    assert first is not None
    assert run.mined is not None
    assert first.tolist() != run.mined.tolist()


@pytest.mark.parametrize(("products", "mined", "all_products"), [
    ("in_batch", False, False), ("mined", True, False), ("all", False, True)
])  # fmt: skip
def test_a_batch_gets_the_companions_that_were_asked_for(
    data: DataFolder, encoder: Path, products: str, mined: bool, all_products: bool
) -> None:
    run = at_step(set_up(tiny_config(encoder, f"batches.products={products}"), data), 4)

    beside = companions(run)
    assert (beside.mined is not None) == mined
    assert beside.all_products == all_products
    assert beside.weights is None


@pytest.mark.parametrize("base", ["dexa", "prime"])
def test_products_get_their_vectors_at_their_own_start_whatever_the_neighbours(
    data: DataFolder, encoder: Path, base: str
) -> None:
    run = set_up(tiny_config(encoder, f"objective.base={base}", "batches.neighbours=1"), data)
    assert run.objective.side is not None

    at_step(run, 1)
    assert not run.objective.side.has_vector().any()
    at_step(run, 2)  # 10 % of 15 steps
    assert run.objective.side.has_vector().any()

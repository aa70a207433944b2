from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.tokens import TokenisedText
from training.batches import (
    NO_PRODUCT,
    Batch,
    Companions,
    TrainingSet,
    assemble,
    batch_bounds,
    batches_per_epoch,
)
from training.token_table import TokenTable


def rows_only(
    positives: Sequence[Sequence[int]],
    *,
    products: int,
    ignored: Mapping[int, Sequence[int]] | None = None,
) -> TrainingSet:
    """Return a training set of which only the rows matter: each text is its own number."""

    def texts(count: int) -> TokenTable:
        return TokenTable.of(TokenisedText((row,), False, False) for row in range(count))

    return TrainingSet(
        queries=texts(len(positives)),
        products=texts(products),
        positives=tuple(tuple(sorted(rows)) for rows in positives),
        ignored={row: tuple(rows) for row, rows in (ignored or {}).items()},
        row_of_product=np.arange(products),
    )


def drawn(batch: Batch) -> list[int]:
    return batch.products[batch.sampled].tolist()


@st.composite
def _sets_of_rows(draw: st.DrawFn) -> tuple[TrainingSet, np.ndarray, Companions]:
    """Draw a training set, the queries of a batch, and the products beside their positives."""
    products = draw(st.integers(1, 7))
    product = st.integers(0, products - 1)
    positives = draw(st.lists(st.sets(product, min_size=1), min_size=1, max_size=6))
    queries = len(positives)
    ignored = draw(st.dictionaries(st.integers(0, queries - 1), st.sets(product, min_size=1)))
    rows = draw(st.lists(st.integers(0, queries - 1), min_size=1, unique=True))
    mined = draw(
        st.lists(
            st.lists(st.integers(NO_PRODUCT, products - 1), min_size=2, max_size=2),
            min_size=queries,
            max_size=queries,
        )
    )
    companions = Companions(
        weights=draw(st.sampled_from([None, np.arange(1.0, products + 1)])),
        mined=draw(st.sampled_from([None, np.array(mined)])),
        all_products=draw(st.booleans()),
    )
    data = rows_only(
        [sorted(some) for some in positives],
        products=products,
        ignored={row: sorted(some) for row, some in ignored.items()},
    )
    return data, np.array(rows), companions


def test_every_known_positive_of_the_batch_is_marked_not_only_the_sampled_one() -> None:
    data = rows_only([[0, 1], [1], [0]], products=3)

    batch = assemble(data, np.arange(3), Companions(all_products=True), seed=0, step=0)

    assert batch.is_positive.sum(axis=1).tolist() == [2, 1, 1]


def test_a_product_drawn_for_one_query_is_marked_for_the_other_it_is_right_for() -> None:
    """Query 0 is asked about one of its two products, and the other is there for query 1 or 2."""
    data = rows_only([[0, 1], [1], [0]], products=3)

    batch = assemble(data, np.arange(3), Companions(), seed=0, step=0)

    assert batch.products.tolist() == [0, 1]
    assert batch.is_positive.tolist() == [[True, True], [False, True], [True, False]]


def test_the_sampled_positive_depends_on_seed_and_step_alone() -> None:
    data = rows_only([[0, 1, 3]] * 8, products=4)

    def sampled(seed: int, step: int) -> list[int]:
        return drawn(assemble(data, np.arange(1), Companions(), seed=seed, step=step))

    assert sampled(1, 5) == sampled(1, 5)
    assert len({tuple(sampled(1, step)) for step in range(30)}) == 3
    assert [sampled(1, step) for step in range(30)] != [sampled(2, step) for step in range(30)]


@pytest.mark.parametrize(("queries", "size", "batches"), [(10, 4, 3), (8, 4, 2), (3, 100, 1)])
def test_an_epoch_has_enough_batches_for_every_query(queries: int, size: int, batches: int) -> None:
    assert batches_per_epoch(queries, size) == batches


@given(st.integers(0, 50), st.integers(1, 9))
def test_batches_are_cut_where_numpy_cuts_them(queries: int, batches: int) -> None:
    rows = np.arange(queries)

    cut = [slice(*batch_bounds(queries, batches, number)) for number in range(batches)]

    for part, expected in zip(cut, np.array_split(rows, batches), strict=True):
        assert rows[part].tolist() == expected.tolist()


@given(_sets_of_rows(), st.integers(0, 5))
def test_a_batch_agrees_with_a_slow_loop(
    case: tuple[TrainingSet, np.ndarray, Companions], step: int
) -> None:
    data, rows, companions = case
    batch = assemble(data, rows, companions, seed=3, step=step)

    expected = set(drawn(batch))
    if companions.all_products:
        expected = set(range(len(data.products)))
    elif companions.mined is not None:
        for row in rows:
            expected |= {product for product in companions.mined[row] if product != NO_PRODUCT}
    assert batch.products.tolist() == sorted(expected)
    assert batch.queries.tolist() == rows.tolist()
    for place, row in enumerate(rows):
        assert drawn(batch)[place] in data.positives[row]
        for column, product in enumerate(batch.products):
            is_right = product in data.positives[row]
            is_unclear = product in data.ignored.get(row, ())
            assert batch.is_positive[place, column] == is_right
            assert batch.is_ignored[place, column] == (is_unclear and not is_right)


def test_mined_negatives_join_the_batch_and_empty_places_do_not() -> None:
    data = rows_only([[0], [1], [2]], products=6)
    mined = np.array([[4, NO_PRODUCT], [0, 2], [5, 5]])

    batch = assemble(data, np.array([0, 1]), Companions(mined=mined), seed=0, step=0)

    assert batch.products.tolist() == [0, 1, 2, 4]
    assert drawn(batch) == [0, 1]


def test_a_mined_product_that_is_right_for_another_query_of_the_batch_is_marked() -> None:
    data = rows_only([[0], [1, 3]], products=4)

    batch = assemble(
        data, np.arange(2), Companions(mined=np.array([[3], [NO_PRODUCT]])), seed=0, step=0
    )

    assert 3 in batch.products
    assert batch.is_positive[:, batch.products == 3].tolist() == [[False], [True]]


def test_all_products_are_there_where_that_is_asked_for() -> None:
    data = rows_only([[5], [1]], products=7)

    batch = assemble(data, np.arange(2), Companions(all_products=True), seed=0, step=0)

    assert batch.products.tolist() == list(range(7))
    assert batch.sampled.tolist() == [5, 1]
    assert batch.is_positive.sum() == 2


def test_positives_are_drawn_evenly_where_nothing_is_said() -> None:
    data = rows_only([[0, 1, 2]] * 3000, products=3)

    found = drawn(assemble(data, np.arange(3000), Companions(), seed=0, step=0))

    assert np.bincount(found) / 3000 == pytest.approx([1 / 3] * 3, abs=0.03)


def test_a_positive_of_three_times_the_weight_is_drawn_three_times_as_often() -> None:
    data = rows_only([[0, 2]] * 3000, products=3)
    weights = np.array([1.0, 50.0, 3.0])

    found = drawn(assemble(data, np.arange(3000), Companions(weights=weights), seed=0, step=0))

    assert np.bincount(found, minlength=3) / 3000 == pytest.approx([0.25, 0, 0.75], abs=0.03)


def test_queries_of_a_product_are_counted_whether_it_has_any_or_not() -> None:
    data = rows_only([[0, 1], [1], [1, 3]], products=5)

    assert data.queries_of_products().tolist() == [1, 3, 0, 1, 0]

import numpy as np
import pytest

from service.contract.errors import DataError
from service.contract.tokens import TextTokeniser
from tests.tiny import make_tokenizer
from training.batches import assemble, batches_per_epoch, training_set
from training.data.matches import LabelledQuery
from training.data.products import Product, Products

TITLES = ["red shoe", "blue shoe", "Red  Shoe", "green hat"]


def query(name: str, text: str, *positives: str) -> LabelledQuery:
    return LabelledQuery(
        query_id=name,
        text=text,
        positives=tuple(sorted(positives)),
        split="train",
        user_id=None,
        grades=dict.fromkeys(positives, 2),
        row=1,
    )


def products() -> Products:
    items = tuple(Product(f"p{i}", title, None, {}) for i, title in enumerate(TITLES))
    return Products(items=items, attribute_names=())


def tokeniser() -> TextTokeniser:
    return TextTokeniser(make_tokenizer(TITLES))


def test_products_of_one_text_share_a_row_so_none_is_anothers_negative() -> None:
    data = training_set(
        [query("a", "shoe red", "p0"), query("b", "rd shoe", "p2"), query("c", "hat", "p3")],
        products(),
        tokeniser(),
        product_text=("title",),
    )

    assert len(data.products) == 3
    assert data.positives[0] == data.positives[1]
    assert data.positives[2] != data.positives[0]


def test_a_query_of_two_twins_has_one_positive_row() -> None:
    data = training_set(
        [query("a", "shoe", "p0", "p2")], products(), tokeniser(), product_text=("title",)
    )

    assert len(data.positives[0]) == 1


def test_queries_without_a_product_are_not_trained_on() -> None:
    data = training_set(
        [query("a", "shoe", "p0"), query("b", "sock")],
        products(),
        tokeniser(),
        product_text=("title",),
    )

    assert len(data.queries) == 1


def test_nothing_to_train_on_is_an_error() -> None:
    with pytest.raises(DataError, match="no training query has a product"):
        training_set([query("b", "sock")], products(), tokeniser(), product_text=("title",))


def test_a_blank_training_query_is_named() -> None:
    with pytest.raises(DataError, match=r"training query 'b' \(row 1\) is blank"):
        training_set([query("b", " \0 ", "p0")], products(), tokeniser(), product_text=("title",))


def test_every_known_positive_of_the_batch_is_marked_not_only_the_sampled_one() -> None:
    data = training_set(
        [query("a", "shoe", "p0", "p1"), query("b", "blue shoe", "p1"), query("c", "red", "p0")],
        products(),
        tokeniser(),
        product_text=("title",),
    )

    batch = assemble(data, np.arange(3), seed=0, step=0)

    assert len(batch.products) == 2
    assert batch.is_positive[0].all()
    assert batch.is_positive.sum(axis=1).tolist() == [2, 1, 1]


def test_the_sampled_positive_depends_on_seed_and_step_alone() -> None:
    data = training_set(
        [query(str(i), "shoe", "p0", "p1", "p3") for i in range(8)],
        products(),
        tokeniser(),
        product_text=("title",),
    )
    rows = np.arange(1)

    def sampled(seed: int, step: int) -> list[int]:
        return assemble(data, rows, seed=seed, step=step).products.tolist()

    assert sampled(1, 5) == sampled(1, 5)
    assert len({tuple(sampled(1, step)) for step in range(30)}) == 3
    assert [sampled(1, step) for step in range(30)] != [sampled(2, step) for step in range(30)]


def test_the_order_of_the_rows_of_a_file_does_not_matter() -> None:
    queries = [query("b", "hat", "p3"), query("a", "red shoe", "p0"), query("c", "blue", "p1")]

    one, other = (
        training_set(order, products(), tokeniser(), product_text=("title",))
        for order in (queries, queries[::-1])
    )

    assert one == other


@pytest.mark.parametrize(("queries", "size", "batches"), [(10, 4, 3), (8, 4, 2), (3, 100, 1)])
def test_an_epoch_has_enough_batches_for_every_query(queries: int, size: int, batches: int) -> None:
    assert batches_per_epoch(queries, size) == batches

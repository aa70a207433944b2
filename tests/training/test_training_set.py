"""What a run trains on: queries, distinct product texts, and the pairs between them."""

import numpy as np
import pytest

from service.contract.errors import DataError
from service.contract.tokens import TextTokeniser
from tests.tiny import make_tokenizer
from training.batches import Companions, assemble, training_set
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


def test_the_order_of_the_rows_of_a_file_does_not_matter() -> None:
    queries = [query("b", "hat", "p3"), query("a", "red shoe", "p0"), query("c", "blue", "p1")]
    reversed_products = Products(items=products().items[::-1], attribute_names=())

    one, other = (
        training_set(order, catalogue, tokeniser(), product_text=("title",))
        for order, catalogue in ((queries, products()), (queries[::-1], reversed_products))
    )

    assert one.queries == other.queries
    assert one.products == other.products
    assert one.positives == other.positives


def test_a_filtered_pair_is_ignored_and_never_a_negative() -> None:
    data = training_set(
        [query("a", "shoe", "p0"), query("b", "hat", "p3")],
        products(),
        tokeniser(),
        product_text=("title",),
        filtered={"a": frozenset({"p3"}), "nobody": frozenset({"p1"})},
    )

    batch = assemble(data, np.arange(2), Companions(), seed=0, step=0)

    hat = batch.products == data.row_of_product[3]
    assert batch.is_ignored[:, hat].tolist() == [[True], [False]]
    assert batch.is_ignored.sum() == 1


def test_a_filtered_twin_of_the_positive_stays_a_positive() -> None:
    """Both products have one text, so no text can tell the right one from the unclear one."""
    data = training_set(
        [query("a", "shoe", "p0")],
        products(),
        tokeniser(),
        product_text=("title",),
        filtered={"a": frozenset({"p2"})},
    )

    batch = assemble(data, np.arange(1), Companions(), seed=0, step=0)

    assert batch.is_positive.tolist() == [[True]]
    assert not batch.is_ignored.any()


def test_filtered_pairs_follow_their_query_whatever_the_order_of_the_rows() -> None:
    queries = [query("b", "hat", "p3"), query("a", "shoe", "p0")]

    data = training_set(
        queries,
        products(),
        tokeniser(),
        product_text=("title",),
        filtered={"a": frozenset({"p1"})},
    )

    assert data.ignored == {0: (int(data.row_of_product[1]),)}

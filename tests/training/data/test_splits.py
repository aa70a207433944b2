import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contract.errors import ConfigError, DataError
from tests.training.data.labelled import labelled
from training.data.matches import SPLITS, LabelledQuery
from training.data.splits import (
    SplitShares,
    check_no_leak,
    deal,
    is_seen,
    one_per_text,
    place,
    text_key,
    trained_products,
)

TEXTS = ("", " ", "sony xm4", "Sony  XM4", "bose 45", "canon r6", "CANON R6", "pentax k9", "lg c3")
PRODUCTS = ("p-1", "p-2", "p-3", "p-4", "p-5")

queries_of_few_texts = st.lists(
    st.tuples(st.sampled_from(TEXTS), st.lists(st.sampled_from(PRODUCTS), unique=True, max_size=2)),
    max_size=25,
).map(lambda rows: [labelled(f"q-{i}", text, *p, row=i) for i, (text, p) in enumerate(rows)])
seeds = st.integers(0, 50)
unseen_shares = st.sampled_from([0.0, 0.15, 0.5])


def offers(texts: int, products: int) -> list[LabelledQuery]:
    """Return queries of different texts, spread evenly over the products."""
    return [labelled(f"q-{i}", f"offer {i}", f"p-{i % products}", row=i) for i in range(texts)]


def held_out(queries: list[LabelledQuery]) -> list[LabelledQuery]:
    return [query for query in queries if query.split != "train"]


@settings(deadline=None)
@given(queries_of_few_texts, seeds, unseen_shares)
def test_every_text_is_one_row_of_one_split(
    queries: list[LabelledQuery], seed: int, unseen_share: float
) -> None:
    dealt = deal(queries, seed=seed, unseen_share=unseen_share)

    check_no_leak(dealt)
    assert [text_key(q.text) for q in dealt] == list(
        dict.fromkeys(text_key(q.text) for q in queries)
    )
    assert all(query.split in SPLITS for query in dealt)


@settings(deadline=None)
@given(queries_of_few_texts, seeds, unseen_shares)
def test_no_query_in_train_is_blank_or_without_product_or_of_an_unseen_product(
    queries: list[LabelledQuery], seed: int, unseen_share: float
) -> None:
    dealt = deal(queries, seed=seed, unseen_share=unseen_share)

    for query in dealt:
        if query.split == "train":
            assert text_key(query.text)
            assert query.has_product
    assert all(place(seed, "unseen", p) >= unseen_share for p in trained_products(dealt))


@settings(deadline=None)
@given(queries_of_few_texts, seeds, unseen_shares)
def test_a_row_held_out_is_one_of_the_queries_as_it_came(
    queries: list[LabelledQuery], seed: int, unseen_share: float
) -> None:
    dealt = deal(queries, seed=seed, unseen_share=unseen_share)

    assert all(replace(query, split=None) in queries for query in held_out(dealt))


@settings(deadline=None)
@given(queries_of_few_texts, seeds, unseen_shares)
def test_a_text_in_train_has_the_positives_of_all_its_queries(
    queries: list[LabelledQuery], seed: int, unseen_share: float
) -> None:
    dealt = deal(queries, seed=seed, unseen_share=unseen_share)

    for query in dealt:
        if query.split == "train":
            same = [q for q in queries if text_key(q.text) == text_key(query.text)]
            assert query.positives == tuple(sorted({p for q in same for p in q.positives}))
            assert set(query.grades) == set(query.positives)


@settings(deadline=None)
@given(queries_of_few_texts, seeds, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(
    queries: list[LabelledQuery], seed: int, shuffler: random.Random
) -> None:
    shuffled = shuffler.sample(queries, len(queries))

    dealt = {query.query_id: query for query in deal(queries, seed=seed)}

    assert {query.query_id: query for query in deal(shuffled, seed=seed)} == dealt


def test_other_rows_do_not_move_a_text() -> None:
    some, more = deal(offers(50, 20), seed=1), deal(offers(400, 20), seed=1)

    assert more[: len(some)] == some


@pytest.mark.parametrize(
    ("seed", "splits"),
    [
        (0, "train test train train calibration test"),
        (1, "train train train train train test"),
        (2, "validation train validation train train train"),
    ],
)
def test_a_text_lies_where_it_always_lay(seed: int, splits: str) -> None:
    assert " ".join(str(query.split) for query in deal(offers(6, 6), seed=seed)) == splits


@pytest.mark.parametrize(
    ("seed", "purpose", "what", "expected"),
    [
        (0, "train", "sony", 0.277505295981),
        (1, "train", "sony", 0.510072128828),
        (0, "held out", "sony", 0.147639723453),
        (0, "train", "größe 5 µm", 0.786636539446),
        (0, "train", "", 0.762558375063),
    ],
)
def test_a_place_is_what_it_always_was(seed: int, purpose: str, what: str, expected: float) -> None:
    assert place(seed, purpose, what) == pytest.approx(expected, abs=1e-9)


def test_shares_and_the_mix_of_seen_products_are_as_promised() -> None:
    dealt = deal(offers(20_000, 4_000), seed=3)

    number = Counter(query.split for query in dealt)
    trained = trained_products(dealt)
    mix = {
        split: sum(is_seen(q, trained) for q in dealt if q.split == split) / number[split]
        for split in SPLITS
    }

    assert number["train"] / len(dealt) == pytest.approx(0.595, abs=0.01)
    assert number["validation"] / len(dealt) == pytest.approx(0.101, abs=0.01)
    assert number["calibration"] / len(dealt) == pytest.approx(0.172, abs=0.01)
    assert number["test"] / len(dealt) == pytest.approx(0.132, abs=0.01)
    assert mix["train"] == 1
    assert mix["validation"] == pytest.approx(mix["calibration"], abs=0.03)
    assert mix["test"] == pytest.approx(mix["calibration"], abs=0.03)
    unseen = {p for q in dealt for p in q.positives} - trained
    assert len(unseen) / 4_000 == pytest.approx(0.15, abs=0.03)


def test_without_unseen_products_the_shares_are_as_given() -> None:
    shares = SplitShares(train=0.5, validation=0.1, calibration=0.3, test=0.1)

    number = Counter(
        q.split for q in deal(offers(10_000, 100), seed=3, unseen_share=0, shares=shares)
    )

    assert number["train"] / 10_000 == pytest.approx(0.5, abs=0.02)
    assert number["calibration"] / 10_000 == pytest.approx(0.3, abs=0.02)
    assert number["test"] / 10_000 == pytest.approx(0.1, abs=0.02)


def test_of_conflicting_products_one_is_drawn_as_often_as_it_was_asked_for() -> None:
    rows = [(f"text {i}", product) for i in range(2_000) for product in ("p-1", "p-2", "p-2")]
    queries = [labelled(f"q-{i}", text, product) for i, (text, product) in enumerate(rows)]

    dealt = deal(queries, seed=5)

    drawn = Counter(query.positives for query in held_out(dealt))
    assert set(drawn) == {("p-1",), ("p-2",)}
    assert drawn["p-2",] / drawn.total() == pytest.approx(2 / 3, abs=0.05)


def test_merged_queries_keep_the_best_grade_and_a_common_user() -> None:
    base = labelled("q-1", "sony", "p-1")
    first = replace(base, user_id="u", grades={"p-1": 2, "p-2": 0, "p-3": 1})
    second = replace(base, query_id="q-2", text="SONY", user_id="u", grades={"p-1": 1, "p-2": 1})
    everything_in_train = SplitShares(train=1.0)

    (merged,) = deal([first, second], seed=0, unseen_share=0, shares=everything_in_train)
    (mixed,) = deal(
        [first, replace(second, user_id="v")], seed=0, unseen_share=0, shares=everything_in_train
    )

    assert merged.grades == {"p-1": 2, "p-2": 1, "p-3": 1}
    assert (merged.user_id, mixed.user_id) == ("u", None)


@pytest.mark.parametrize("unseen_share", [-0.1, 1.0, float("nan")])
def test_a_share_of_unseen_products_out_of_range_is_refused(unseen_share: float) -> None:
    with pytest.raises(ConfigError, match="name one from 0 to below 1"):
        deal([], seed=0, unseen_share=unseen_share)


def test_one_per_text_keeps_one_row_and_never_joins_products() -> None:
    queries = [
        labelled("q-1", "sony xm4", "p-1"),
        labelled("q-2", "Sony XM4", "p-2"),
        labelled("q-3", "bose", "p-3", "p-4"),
    ]

    kept = one_per_text(queries, seed=0)

    assert len(kept) == 2
    assert kept[0] in queries[:2]
    assert kept[1] == queries[2]


def test_a_text_in_two_splits_is_refused_with_both_queries() -> None:
    queries = [
        labelled("q-1", "Sony XM4", "p-1", split="train", row=2),
        labelled("q-2", "bose", "p-1", split="test", row=3),
        labelled("q-3", " sony  xm4", "p-1", split="test", row=4),
    ]

    with pytest.raises(DataError, match=r"'q-1' \(row 2\) is in train and query 'q-3' \(row 4\)"):
        check_no_leak(queries)


def test_blank_texts_and_repeats_within_a_split_are_no_leak() -> None:
    check_no_leak(
        [
            labelled("q-1", "", split="calibration"),
            labelled("q-2", " ", split="test"),
            labelled("q-3", "sony", split="test"),
            labelled("q-4", "sony", split="test"),
        ]
    )


@pytest.mark.parametrize("first", SPLITS)
@pytest.mark.parametrize("second", SPLITS)
def test_in_published_splits_a_text_may_lie_in_train_and_in_test_alone(
    first: str, second: str
) -> None:
    queries = [labelled("q-1", "sony", split=first), labelled("q-2", "SONY", split=second)]

    if first == second or {first, second} == {"train", "test"}:
        check_no_leak(queries, published_splits=True)
    else:
        with pytest.raises(DataError, match=f"is in {first} and query 'q-2'"):
            check_no_leak(queries, published_splits=True)


def test_in_published_splits_a_text_of_train_and_test_is_in_no_third_split() -> None:
    queries = [labelled(split, "sony", split=split) for split in ("train", "test", "calibration")]

    with pytest.raises(DataError, match="query 'calibration'"):
        check_no_leak(queries, published_splits=True)


def test_a_query_is_seen_if_one_of_its_positives_was_trained() -> None:
    trained = trained_products(
        [labelled("q-1", "a", "p-1", split="train"), labelled("q-2", "b", "p-2", split="test")]
    )

    assert trained == {"p-1"}
    assert is_seen(labelled("q", "x", "p-1", "p-2"), trained)
    assert not is_seen(labelled("q", "x", "p-2"), trained)
    assert not is_seen(labelled("q", "x"), trained)

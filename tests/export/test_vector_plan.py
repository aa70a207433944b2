import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.vector_plan import groups_of, has_twin, plan_vectors
from service.contract.tokens import TokenisedText
from training.product_vectors import product_vectors
from training.token_table import TokenTable

TEXTS = st.lists(st.lists(st.integers(0, 3), max_size=3).map(tuple), min_size=1, max_size=30)


def table(texts: list[tuple[int, ...]]) -> TokenTable:
    return TokenTable.of(TokenisedText(ids, truncated=False, is_blank=False) for ids in texts)


@given(TEXTS)
def test_groups_are_equal_where_the_tokens_are(texts: list[tuple[int, ...]]) -> None:
    groups = groups_of(table(texts))

    same_tokens = [[a == b for a in texts] for b in texts]
    assert (groups[:, None] == groups).tolist() == same_tokens
    assert groups.max() < len(texts)
    assert has_twin(groups).tolist() == [texts.count(text) > 1 for text in texts]


@given(TEXTS, st.data())
def test_a_product_without_a_vector_is_like_the_first_of_its_tokens_without_one(
    texts: list[tuple[int, ...]], data: st.DataObject
) -> None:
    has_vector = data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    ids, names = [f"p-{row}" for row in range(len(texts))], [str(text) for text in texts]
    known = [row for row, has in enumerate(has_vector) if has]
    vectors = product_vectors(
        np.eye(len(known), 40, dtype=np.float32),
        range(len(known)),
        [ids[row] for row in known],
        [names[row] for row in known],
    )

    plan = plan_vectors(groups_of(table(texts)), ids, names, vectors, dim=40)

    without = [row for row, has in enumerate(has_vector) if not has]
    expected = [
        -1 if has else next(other for other in without if texts[other] == texts[row])
        for row, has in enumerate(has_vector)
    ]
    assert plan.like.tolist() == expected
    assert plan.trained_products == len(known)
    assert plan.trained_row[known].tolist() == list(range(len(known)))


def test_the_key_tells_texts_encoders_and_vectors_apart() -> None:
    texts = table([(1, 2), (3,)])
    plain = plan_vectors(groups_of(texts), ["a", "b"], ["x", "y"], None, dim=2)
    vector = np.array([[1, 0]], dtype=np.float32)
    keys = [
        plain.key(encoder="e", tokens=texts),
        plain.key(encoder="f", tokens=texts),
        plain.key(encoder="e", tokens=table([(1,), (2, 3)])),
    ]
    for product_id, name, vectors in (("a", "x", vector), ("b", "y", vector), ("a", "x", -vector)):
        trained = product_vectors(vectors, [0], [product_id], [name])
        plan = plan_vectors(groups_of(texts), ["a", "b"], ["x", "y"], trained, dim=2)
        keys.append(plan.key(encoder="e", tokens=texts))

    assert len({*keys}) == 6
    assert keys[0] == plain.key(encoder="e", tokens=table([(1, 2), (3,)]))


@pytest.mark.parametrize(
    ("texts", "groups"),
    [
        ([(1,)], [[0]]),
        ([(1,), (1,)], [[0, 1]]),
        ([(), (1,), ()], [[0, 2], [1]]),
        ([(1, 2), (12,), (1, 2), (1,)], [[0, 2], [1], [3]]),
    ],
)
def test_groups_of_some_texts(texts: list[tuple[int, ...]], groups: list[list[int]]) -> None:
    found = groups_of(table(texts))

    assert sorted(np.flatnonzero(found == group).tolist() for group in set(found)) == groups

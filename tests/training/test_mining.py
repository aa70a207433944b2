from collections.abc import Sequence

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import mining
from training.mining import mine_hard_negatives

DIM = 3
vectors = st.lists(
    st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=DIM, max_size=DIM
)  # similarities are exact in float32, so that ties are ties


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[list[int]]]:
    """Queries, products and the known positives of each query."""
    queries = draw(st.lists(vectors, min_size=1, max_size=6))
    products = draw(st.lists(vectors, min_size=1, max_size=8))
    rows = st.lists(st.integers(0, len(products) - 1), unique=True, max_size=4)
    positives = draw(st.lists(rows, min_size=len(queries), max_size=len(queries)))
    return np.array(queries, np.float32), np.array(products, np.float32), positives


def by_hand(
    similarity: Sequence[float], positives: Sequence[int], *, skip_margin: float | None
) -> set[int]:
    """Return every product that may be a negative of one query."""
    allowed = set(range(len(similarity))) - set(positives)
    if skip_margin is None or not positives:
        return allowed
    limit = max(similarity[row] for row in positives) + skip_margin
    return {row for row in allowed if similarity[row] <= limit}


@given(cases(), st.integers(1, 10), st.sampled_from([None, -0.5, 0.0, 0.25, 5.0]))
def test_the_negatives_are_those_a_slow_loop_finds(
    case: tuple[np.ndarray, np.ndarray, list[list[int]]], depth: int, skip_margin: float | None
) -> None:
    queries, products, positives = case

    found = mine_hard_negatives(queries, products, positives, depth=depth, skip_margin=skip_margin)

    assert found.shape == (len(queries), depth)
    for query, own, row in zip(queries, positives, found.tolist(), strict=True):
        similarity = (products @ query).tolist()
        allowed = by_hand(similarity, own, skip_margin=skip_margin)
        negatives = [product for product in row if product >= 0]
        assert row == negatives + [-1] * (depth - len(negatives))
        assert len(set(negatives)) == len(negatives)
        assert set(negatives) <= allowed
        best = sorted((similarity[product] for product in allowed), reverse=True)[:depth]
        assert [similarity[product] for product in negatives] == best


def circle(*degrees: float) -> np.ndarray:
    """Unit vectors in a plane; similarity to zero degrees falls with the angle."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("skip_margin", "negatives"),
    [
        (None, [0, 1, 3, 4]),
        (0.2, [0, 1, 3, 4]),
        (0.1, [1, 3, 4, -1]),
        (0.0, [3, 4, -1, -1]),
        (-0.1, [4, -1, -1, -1]),
    ],
)
def test_a_negative_too_far_above_the_best_positive_is_left_out(
    skip_margin: float | None, negatives: list[int]
) -> None:
    products = circle(0, 25, 30, 35, 60, 80)  # cosines 1, .906, .866, .819, .5, .174

    found = mine_hard_negatives(circle(0), products, [[2, 5]], depth=4, skip_margin=skip_margin)

    assert found.tolist() == [negatives]


def test_a_product_as_similar_as_the_positive_is_kept_whatever_the_rounding() -> None:
    embedding = np.random.default_rng(0).normal(size=(200, 384)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    products = np.concatenate([embedding, embedding])

    found = mine_hard_negatives(
        embedding, products, [[row] for row in range(200)], depth=1, skip_margin=0.0
    )

    assert found[:, 0].tolist() == list(range(200, 400))


def planted(
    queries: int, products: int, dim: int = 16
) -> tuple[np.ndarray, np.ndarray, list[list[int]]]:
    """Products in tight families; each query lies in the family of its one positive."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(products // 20, dim))
    vectors = np.repeat(centres, 20, axis=0) + generator.normal(scale=0.2, size=(products, dim))
    positives = generator.integers(0, products, size=queries)
    asked = vectors[positives] + generator.normal(scale=0.1, size=(queries, dim))
    unit = [(v / np.linalg.norm(v, axis=1, keepdims=True)).astype("f4") for v in (asked, vectors)]
    return unit[0], unit[1], [[int(row)] for row in positives]


def test_above_the_exact_limit_nine_of_ten_negatives_are_still_found() -> None:
    queries, products, positives = planted(300, 2000)
    exact, near = (
        mine_hard_negatives(
            queries, products, positives, depth=10, skip_margin=None, exact_pairs=limit
        )
        for limit in (300 * 2000, 300 * 2000 - 1)
    )

    shared = [len({*one} & {*other}) for one, other in zip(exact, near, strict=True)]
    assert np.mean(shared) >= 9
    assert not (near == np.array(positives)).any()


@pytest.mark.parametrize("products", [20, 40])
def test_an_inverted_file_of_a_few_products_works_and_is_quiet(
    products: int, capfd: pytest.CaptureFixture[str]
) -> None:
    queries, embeddings, positives = planted(3, products)

    found = mine_hard_negatives(
        queries, embeddings, positives, depth=5, skip_margin=None, exact_pairs=0
    )

    assert (found >= 0).all()
    assert capfd.readouterr() == ("", "")


def test_blocks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, products, positives = planted(50, 100)
    whole = mine_hard_negatives(queries, products, positives, depth=5, skip_margin=0.0)
    monkeypatch.setattr(mining, "_BLOCK", 7)

    assert np.array_equal(
        whole, mine_hard_negatives(queries, products, positives, depth=5, skip_margin=0.0)
    )


def test_the_search_goes_on_below_the_products_left_out() -> None:
    products = circle(*range(90))

    found = mine_hard_negatives(circle(0), products, [[70]], depth=2, skip_margin=0.0)

    assert found.tolist() == [[71, 72]]


def test_products_beyond_the_widest_search_are_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mining, "WIDEST", 70)

    found = mine_hard_negatives(circle(0), circle(*range(90)), [[68]], depth=2, skip_margin=0.0)

    assert found.tolist() == [[69, -1]]


@pytest.mark.parametrize(
    ("positives", "depth", "message"),
    [
        ([[0]], 0, "depth is 0"),
        ([[0]], 4000, "from 1 to 2048"),
        ([[0], [1]], 1, "2 lists of positives for 1 queries"),
        ([[3]], 1, "no row of the 3 products"),
        ([[-1]], 1, "no row of the 3 products"),
    ],
)
def test_what_cannot_be_mined_is_a_mistake_of_the_caller(
    positives: list[list[int]], depth: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        mine_hard_negatives(circle(0), circle(1, 2, 3), positives, depth=depth, skip_margin=None)


@pytest.mark.parametrize("gpus", [None, 0, 2])
def test_the_index_goes_to_the_gpus_where_there_are_any(
    gpus: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[faiss.Index] = []

    def move(index: faiss.Index) -> faiss.Index:
        moved.append(index)
        return index

    monkeypatch.delattr(faiss, "get_num_gpus", raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", move, raising=False)
    if gpus is not None:
        monkeypatch.setattr(faiss, "get_num_gpus", lambda: gpus, raising=False)

    found = mine_hard_negatives(circle(0), circle(1, 2), [[0]], depth=1, skip_margin=None)

    assert found.tolist() == [[1]]
    assert len(moved) == (1 if gpus else 0)

"""The limit, on a tiny bundle."""

from pathlib import Path

import numpy as np
import pytest

from service.contract import bundle as bundles
from service.contract.golden import read_golden
from tests.benchmarks.limit import BUDGETS, TEXTS_A_PASS, Limit, embeddings_of
from tests.tiny import PRODUCTS, write_bundle

TEXTS = [title for _, title, _ in PRODUCTS]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle").folder


def test_the_limit_searches_every_text(bundle: Path) -> None:
    similarity, rows = Limit(bundle).answer(TEXTS * 5, budget=16)

    assert similarity.shape == rows.shape == (40, 5)
    assert np.allclose(similarity[:, 0], 1.0, atol=1e-5)  # each is a product's own title


def test_packing_changes_no_vector(bundle: Path) -> None:
    limit = Limit(bundle)

    assert np.allclose(limit.embed(TEXTS), embeddings_of(bundle, TEXTS), atol=1e-6)


def test_vectors_are_those_of_the_golden_examples(bundle: Path) -> None:
    golden = [one for one in read_golden(bundle / bundles.GOLDEN) if one.embedding]

    given = embeddings_of(bundle, [one.text for one in golden])

    assert len(golden) >= len(TEXTS)
    assert np.allclose(given, [one.embedding for one in golden], atol=1e-5)


def test_every_budget_is_tried_and_the_best_is_named(bundle: Path) -> None:
    found = Limit(bundle).by_budget(TEXTS * (TEXTS_A_PASS // len(TEXTS)), seconds=0.0)

    assert set(found["by_budget"]) == set(BUDGETS)
    assert found["by_budget"][found["budget"]] == max(found["by_budget"].values()) > 0


def test_figures_are_of_batches_and_of_a_lone_query(bundle: Path) -> None:
    texts = TEXTS * (TEXTS_A_PASS // len(TEXTS))

    found = Limit(bundle).figures(texts, budget=64, seconds=0.01)

    assert found["queries_per_second"] > 0
    assert 0 < found["lone_ms"]["p50"] <= found["lone_ms"]["longest"]

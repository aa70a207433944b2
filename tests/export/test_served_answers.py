from pathlib import Path

import numpy as np
import pytest

from export import served_answers
from export.served_answers import answer_all, judge_served
from tests.tiny import PRODUCTS, open_tiny
from tests.training.data.labelled import labelled

TITLES = [title for _, title, _ in PRODUCTS]


@pytest.mark.parametrize("threshold", [None, 0.8])
def test_what_can_never_be_accepted_has_no_similarity_whatever_the_threshold(
    tiny_bundle: Path, threshold: float | None
) -> None:
    """A plain answer, a twin, a blank text."""
    queries = [
        labelled("plain", "canon eos r6 body", "p-4"),
        labelled("twin", "generic cable", "p-7"),
        labelled("blank", " \t", "p-1"),
    ]
    recommender = open_tiny(tiny_bundle).with_threshold(threshold)

    judged = judge_served(recommender, queries, what="queries")

    assert judged.similarity[0] == pytest.approx(1, abs=1e-3)
    assert np.isnan(judged.similarity[1:]).all()
    assert judged.is_correct.tolist() == [True, True, False]


def test_recall_looks_at_ten_products(tiny_bundle: Path) -> None:
    query = labelled("all", "sony wh-1000xm4 black", *(product_id for product_id, _, _ in PRODUCTS))

    judged = judge_served(open_tiny(tiny_bundle), [query], what="queries")

    assert judged.recall.tolist() == [1.0]


def test_every_text_gets_its_own_answer_whatever_the_block(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recommender = open_tiny(tiny_bundle)
    expected = recommender.recommend(TITLES, k=3)
    monkeypatch.setattr(served_answers, "_BLOCK", 3)

    found = answer_all(recommender, TITLES, k=3, what="queries")

    assert [a.recommendations[0].product_id for a in found] == [
        a.recommendations[0].product_id for a in expected
    ]
    assert len(found) == len(TITLES)

from pathlib import Path

import pytest

from export.golden_examples import EDGE_TEXTS, MOST, TOLERANCE, golden_examples
from tests.tiny import PRODUCTS, open_tiny

TITLES = [title for _, title, _ in PRODUCTS]
QUERY = "sony wh-1000xm4"


def test_a_tie_of_two_products_is_left_out_and_odd_texts_are_in(tiny_bundle: Path) -> None:
    texts = {example.text for example in golden_examples(open_tiny(tiny_bundle), TITLES)}

    assert "Canon EOS R6 Body" in texts
    assert not {"Generic Cable", "generic  cable"} & texts
    assert {"", "?!..."} <= texts


@pytest.mark.parametrize(("room", "is_in"), [(1.5, False), (-1.5, False), (3.0, True)])
def test_an_answer_near_the_threshold_is_left_out(
    tiny_bundle: Path, room: float, is_in: bool
) -> None:
    recommender = open_tiny(tiny_bundle)
    similarity = recommender.recommend([QUERY], k=1)[0].similarity
    assert similarity is not None

    near = recommender.with_threshold(similarity + room * TOLERANCE.similarity)

    assert (QUERY in {example.text for example in golden_examples(near, [QUERY])}) is is_in


def test_there_are_no_more_than_a_few(tiny_bundle: Path) -> None:
    texts = [f"canon eos {'r6 ' * n}" for n in range(1, 200)]

    found = golden_examples(open_tiny(tiny_bundle), texts)

    assert len(EDGE_TEXTS) < len(found) <= MOST

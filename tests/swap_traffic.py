"""Bundles that answer the same texts differently, and a check that an answer is of one of them."""

import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.contract.bundle import INDEX
from service.contract.pointer import publish
from tests.tiny import PRODUCTS, open_tiny, write_bundle
from tests.wire import WireAnswer, recommending

NAMES = ("ash", "birch", "cedar")
SEEDS = (0, 1, 0)
"""Of the encoders: the first and the last bundle have the same one."""
CORRUPT = "dead"
TOLERANCE = 1e-5
TEXTS = tuple(
    f"{title} {extra}" for _, title, _ in PRODUCTS[:6] for extra in ("", "black", "sony body")
)


@dataclass(frozen=True)
class Expected:
    """What one bundle says of one text."""

    product_ids: Sequence[str]
    similarities: Sequence[float]
    decision: str


def write_bundles(root: Path) -> Mapping[str, Mapping[str, Expected]]:
    """Write bundles into ``root`` and publish the first; return what each says, by its id.

    Beside them lies one with a byte that is not what was sealed.
    """
    root.mkdir()
    said: dict[str, Mapping[str, Expected]] = {}
    for name, seed in zip(NAMES, SEEDS, strict=True):
        products = [(f"{name}-{number}", title, kind) for number, title, kind in PRODUCTS]
        bundle = write_bundle(root / name, products=products, seed=seed)
        said[bundle.manifest.bundle_id] = _expected(bundle.folder)
    shutil.copytree(root / NAMES[0], root / CORRUPT)
    content = bytearray((root / CORRUPT / INDEX).read_bytes())
    content[-1] ^= 1
    (root / CORRUPT / INDEX).write_bytes(content)
    publish(root, NAMES[0])
    return said


def some_texts(chance: random.Random) -> list[str]:
    """Return 1 to 40 texts, some of which no cache has seen."""
    return [chance.choice(TEXTS) for _ in range(chance.choice((1, 1, 2, 8, 9, 40)))]


def asking_for(texts: Sequence[str]) -> bytes:
    """Return a request for three products of each text."""
    return recommending(*texts, k=3)


def must_agree(
    answer: WireAnswer, texts: Sequence[str], said: Mapping[str, Mapping[str, Expected]]
) -> str:
    """Check that a whole answer is that of the bundle it names; return the bundle's id."""
    assert answer.status == 200, answer
    body = answer.json
    expected = said[body["bundle_id"]]
    assert len(body["results"]) == len(texts)
    for text, result in zip(texts, body["results"], strict=True):
        wanted = expected[text]
        found = result["recommendations"]
        assert [one["product_id"] for one in found] == list(wanted.product_ids)
        assert result["decision"] == wanted.decision
        for one, similarity in zip(found, wanted.similarities, strict=True):
            assert abs(one["similarity"] - similarity) <= TOLERANCE
    return body["bundle_id"]


def _expected(folder: Path) -> Mapping[str, Expected]:
    answers = open_tiny(folder).recommend(TEXTS, k=3)
    return {
        text: Expected(
            [one.product_id for one in answer.recommendations],
            [one.similarity for one in answer.recommendations],
            answer.decision,
        )
        for text, answer in zip(TEXTS, answers, strict=True)
    }

"""Offers of shops as the queries of the scale benchmark, the same for every size of catalogue."""

import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from service.encoder import Encoder
from tests.benchmarks.scale_vectors import SEED
from training.data.chance import Chance
from training.data.synthetic_catalogue import inventions
from training.data.synthetic_noise import Noise, write_offer

OFFERS = 1000
AMONG = 10_000
"""They are of products among the first so many, which every size of catalogue has."""


@dataclass(frozen=True)
class Offers:
    """Texts of shops and their vectors."""

    texts: list[str]
    vectors: Float32[np.ndarray, "offer dim"]


def make_offers(path: Path, encoder: Encoder) -> None:
    """Write offers of products drawn by chance, with their vectors, unless they are there.

    Args:
        path: where the vectors are (.npy); the texts are beside them (.json).
        encoder: makes the vectors.
    """
    if path.is_file():
        return
    products = list(islice(inventions(SEED), AMONG))
    chance = Chance(SEED, "offers to measure with")
    texts = [
        write_offer(chance.choose(products).parts, chance, Noise()).text for _ in range(OFFERS)
    ]
    path.with_suffix(".json").write_text(json.dumps(texts), encoding="utf-8")
    np.save(path, encoder.embed(texts))


def read_offers(path: Path) -> Offers:
    """Return what `make_offers` wrote."""
    texts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return Offers(texts, np.load(path))

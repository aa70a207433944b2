"""What a bundle held goes with its last reference, without waiting for the garbage collector."""

import gc
import weakref
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from service.opening import OpenBundle, open_bundle_to_serve


@pytest.fixture
def no_collection() -> Generator[None]:
    """Switch the collector of reference cycles off: a swap must not wait for it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


PARTS: dict[str, Callable[[OpenBundle], object]] = {
    "catalogue": lambda opened: opened.recommender.catalogue,
    "retriever": lambda opened: opened.recommender.retriever,
    "recommender": lambda opened: opened.recommender,
    "encoder": lambda opened: opened.recommender.encoder,
}


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_bundle_goes_with_the_bundle(part: str, tiny_bundle: Path) -> None:
    opened = open_bundle_to_serve(tiny_bundle)
    opened.recommender.recommend(["sony black"])
    kept = weakref.ref(PARTS[part](opened))

    del opened

    assert kept() is None

"""Bundles to swap between."""

from pathlib import Path

import pytest

from service.contract import bundle as bundles
from tests.tiny import PRODUCTS, write_bundle


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles a and b of one encoder, c of another one; tests only read them."""
    folder = tmp_path_factory.mktemp("shelf")
    renamed = [(f"b-{product_id}", *rest) for product_id, *rest in PRODUCTS]
    write_bundle(folder / "a")
    write_bundle(folder / "b", products=[(one, two, three) for one, two, three in renamed])
    write_bundle(folder / "c", seed=1, threshold=0.7)
    return folder


@pytest.fixture
def ids(shelf: Path) -> dict[str, str]:
    """The id of each of them."""
    return {name: bundles.open_bundle(shelf / name).manifest.bundle_id for name in "abc"}

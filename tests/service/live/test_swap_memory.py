"""A service that swaps bundles for weeks must not grow; figures are in docs/swap_memory.json."""

from pathlib import Path

import pytest

from tests.sized_bundle import write_sized_bundle, write_word_encoder
from tests.swapping import memory_over_swaps

pytestmark = pytest.mark.slow

SETTLED = 4
"""Swaps after which everything that is kept has been kept once."""
SWAPS = 24
DIM = 128


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Bundles whose index (20 MiB) or encoder (24 MiB) is large enough to be missed."""
    root = tmp_path_factory.mktemp("sized")
    made: dict[str, Path] = {}
    for name, encoder_seed, words, products, seed in (
        ("index 0", 0, 1000, 40_000, 0),
        ("index 1", 0, 1000, 40_000, 1),
        ("encoder 0", 1, 50_000, 100, 0),
        ("encoder 1", 2, 50_000, 100, 0),
    ):
        made[name] = root / name
        encoder, tokenizer = write_word_encoder(root, dim=DIM, words=words, seed=encoder_seed)
        write_sized_bundle(
            made[name], encoder=encoder, tokenizer=tokenizer, products=products, seed=seed
        )
    return made


def growth(folders: dict[str, Path], what: str, *options: str) -> float:
    """MiB by which a process grew over its later swaps, the largest of both bundles' growths.

    The bundles take turns, so one swap in two is compared with the same bundle before.
    """
    pair = [folders[f"{what} 0"], folders[f"{what} 1"]]
    resident = memory_over_swaps(pair, SWAPS, *options).resident[SETTLED:]
    return max(resident[turn::2][-1] - resident[turn::2][0] for turn in (0, 1))


@pytest.mark.parametrize(("what", "mebibytes"), [("index", 20), ("encoder", 24)])
def test_memory_is_flat_over_many_swaps_of(
    folders: dict[str, Path], what: str, mebibytes: int
) -> None:
    assert growth(folders, what) < 3 * mebibytes


@pytest.mark.parametrize(("what", "mebibytes"), [("index", 20), ("encoder", 24)])
def test_a_bundle_kept_by_mistake_at_every_swap_would_be_seen(
    folders: dict[str, Path], what: str, mebibytes: int
) -> None:
    assert growth(folders, what, "--leak") > 10 * mebibytes

"""Whole runs of every base with neighbours, mined negatives, auto margins and both heads."""

from pathlib import Path

import pytest
import torch

from tests.tiny_data import same, weights
from tests.training.tiny_runs import BASES, everything, lines_without_clock, stop_after
from training.checkpoint import load_checkpoint
from training.data.folders import DataFolder
from training.interruption import StoppedError
from training.loop import fit
from training.product_vectors import ProductVectors
from training.run_log import read_log

pytestmark = pytest.mark.usefixtures("without_curves")


@pytest.fixture(scope="module", params=BASES)
def base(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, data: DataFolder, encoder: Path, base: str
) -> Path:
    out = tmp_path_factory.mktemp("whole") / "checkpoint"
    fit(everything(encoder, base), data, out)
    return out


def test_every_base_lowers_its_loss_and_finds_the_products(whole: Path, base: str) -> None:
    lines = read_log(whole / "log.jsonl")
    losses = [line["terms"] for line in lines if "terms" in line]
    name = "prime_text" if base == "prime" else base

    assert sum(terms[name] for terms in losses[-5:]) < 0.7 * sum(t[name] for t in losses[:5])
    assert [x["validation"]["precision_at_1"] for x in lines if "validation" in x][-1] > 0.95


def test_the_log_says_how_often_each_head_was_right_and_which_margins_act(whole: Path) -> None:
    notes = [line["notes"] for line in read_log(whole / "log.jsonl") if "notes" in line]

    for said in notes:
        for head in ("query_label", "query_batch"):
            assert 0 <= said[f"{head}_accuracy"] <= 1
            assert 0 < said[f"{head}_chance"] <= 0.5
    assert [number for number, said in enumerate(notes) if "positive_margin" in said] == list(
        range(5, 15)
    )
    assert -1 < notes[-1]["negative_margin"] < notes[-1]["positive_margin"] < 1


def test_a_run_resumed_again_and_again_gives_the_very_weights_of_an_uninterrupted_one(
    tmp_path: Path, data: DataFolder, encoder: Path, base: str, whole: Path
) -> None:
    """Within the watch of the margins, at and after a clustering, within and between epochs."""
    out, stops = tmp_path / "checkpoint", 0
    for steps in (1, 3, 1, 4, 2):
        with pytest.raises(StoppedError):
            fit(everything(encoder, base), data, out, should_stop=stop_after(steps))
        stops += steps
    fit(everything(encoder, base), data, out)

    assert stops == 11
    assert same(weights(out), weights(whole))
    assert lines_without_clock(out) == lines_without_clock(whole)
    assert _vectors(out) == _vectors(whole)


def test_only_bases_that_give_products_vectors_leave_some(whole: Path, base: str) -> None:
    found = load_checkpoint(whole).product_vectors

    assert (found is not None) == (base in ("dexa", "prime"))


def _vectors(checkpoint: Path) -> tuple[dict[tuple[str, str], int], list[list[float]]] | None:
    found: ProductVectors | None = load_checkpoint(checkpoint).product_vectors
    if found is None:
        return None
    return dict(found.row_of), torch.from_numpy(found.vectors).tolist()

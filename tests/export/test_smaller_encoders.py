"""Bundles of encoders with fewer layers and of embeddings cut to a prefix."""

import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from export.__main__ import main
from service.opening import open_recommender
from tests.tiny_data import write_checkpoint
from training.checkpoint import load_checkpoint
from training.embedding import encode
from training.losses import unit_prefix

RECIPE = ("matryoshka.dims=[8]", "encoder.layers=1", "objective.base=dexa", "run.epochs=1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data`` and the ``checkpoint`` of one layer, trained for 8 and 32 entries."""
    return write_checkpoint(tmp_path_factory.mktemp("smaller"), *RECIPE).parent


def build(monkeypatch: pytest.MonkeyPatch, folder: Path, out: Path, dim: int) -> int:
    words = ("build", "--checkpoint", folder / "checkpoint", "--data", folder / "data")
    monkeypatch.setattr(
        sys, "argv", ["export", *map(str, words), "--out", str(out), "--dim", str(dim)]
    )
    return main()


def test_a_bundle_is_cut_inside_its_graph_and_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(monkeypatch, folder, tmp_path / "bundle", 8) == 0

    recommender, manifest = open_recommender(tmp_path / "bundle")
    texts = ["acme black camera", "silver kettle"]
    whole = load_checkpoint(folder / "checkpoint").encoder
    whole.model.eval()
    expected = unit_prefix(encode(whole.model, whole.tokeniser(texts), whole.tokeniser), 8)
    assert manifest.encoder.dim == recommender.encoder.dim == 8
    assert faiss.read_index(str(tmp_path / "bundle" / "products.faiss")).d == 8
    assert manifest.catalogue.trained_vectors == 30
    assert np.allclose(recommender.encoder.embed(texts), expected.detach().numpy(), atol=1e-5)
    [answer] = recommender.recommend(["acme camera black"])
    assert len(answer.recommendations) > 0


def test_a_dim_that_was_not_trained_is_one_line_and_leaves_no_bundle(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert build(monkeypatch, folder, tmp_path / "bundle", 12) == 1

    [line] = capsys.readouterr().err.splitlines()
    assert "was trained for embeddings of 8, 32 entries, not of 12" in line
    assert not (tmp_path / "bundle").exists()

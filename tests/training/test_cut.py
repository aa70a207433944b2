from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from service.contract.errors import ConfigError
from tests.tiny_data import write_checkpoint
from training.checkpoint import Checkpoint, load_checkpoint
from training.cut import cut_checkpoint
from training.embedding import encode
from training.losses import unit_prefix

TEXTS = ["acme camera black", "silver kettle acme offer", "x"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint with product vectors, trained for embeddings of 8, 16 and 32 entries."""
    recipe = (
        "run.epochs=1",
        "run.validate_every_epochs=0",
        "objective.base=dexa",
        "matryoshka.dims=[8, 16]",
    )
    folder = write_checkpoint(tmp_path_factory.mktemp("trained"), *recipe)
    return load_checkpoint(folder)


def embedded(checkpoint: Checkpoint) -> torch.Tensor:
    encoder = checkpoint.encoder
    encoder.model.eval()
    with torch.no_grad():
        return encode(encoder.model, encoder.tokeniser(TEXTS), encoder.tokeniser)


@pytest.mark.parametrize("dim", [8, 16])
def test_embeddings_are_cut_to_their_first_entries_of_length_1(
    trained: Checkpoint, dim: int
) -> None:
    cut = cut_checkpoint(trained, dim)

    found = embedded(cut)
    assert found.shape == (len(TEXTS), dim)
    assert cut.encoder.dim == cut.encoder.model.dim == dim
    assert torch.allclose(found, unit_prefix(embedded(trained), dim), atol=1e-6)
    assert torch.allclose(found.norm(dim=1), torch.ones(len(TEXTS)), atol=1e-6)


def test_product_vectors_are_cut_alike(trained: Checkpoint) -> None:
    cut = cut_checkpoint(trained, 8)

    assert trained.product_vectors is not None
    assert cut.product_vectors is not None
    found, whole = cut.product_vectors, torch.from_numpy(trained.product_vectors.vectors)
    assert found.vectors.dtype == np.float32
    assert np.allclose(found.vectors, unit_prefix(whole, 8).numpy(), atol=1e-6)
    assert found.row_of == trained.product_vectors.row_of
    assert cut_checkpoint(replace(trained, product_vectors=None), 8).product_vectors is None


@pytest.mark.parametrize("dim", [None, 32])
def test_whole_embeddings_are_the_checkpoint_itself(trained: Checkpoint, dim: int | None) -> None:
    assert cut_checkpoint(trained, dim) is trained


@pytest.mark.parametrize("dim", [0, 4, 12, 33, -8])
def test_a_dim_it_was_not_trained_for_is_refused_in_one_line_with_those_it_was(
    trained: Checkpoint, dim: int
) -> None:
    with pytest.raises(
        ConfigError, match=f"embeddings of 8, 16, 32 entries, not of {dim}; name one"
    ) as found:
        cut_checkpoint(trained, dim)
    assert "\n" not in str(found.value)


def test_a_checkpoint_without_prefixes_has_its_own_dim_alone(tmp_path: Path) -> None:
    plain = load_checkpoint(
        write_checkpoint(tmp_path, "run.epochs=1", "run.validate_every_epochs=0")
    )

    with pytest.raises(
        ConfigError, match=r"embeddings of 32 entries, not of 8; .*matryoshka\.dims"
    ):
        cut_checkpoint(plain, 8)

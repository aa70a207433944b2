from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from service.contract.errors import CheckpointError
from tests.tiny_encoder import write_tiny_encoder
from training import embedding
from training.embedding import embed, encode
from training.encoder import LoadedEncoder, load_encoder
from training.ranks import Ranks

TEXTS = ["red shoe", "a much longer name of a green hat", "Red  SHOE", "", "blue shoe"]


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedEncoder:
    return load_encoder(str(write_tiny_encoder(tmp_path, TEXTS)), max_tokens=32)


def embedded(loaded: LoadedEncoder, texts: list[str]) -> np.ndarray:
    return embed(loaded.model, loaded.tokeniser(texts), loaded.tokeniser, what="texts")


def test_every_text_gets_its_own_embedding_and_equal_ones_the_very_same(
    loaded: LoadedEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "_BLOCK", 2)
    found = embedded(loaded, TEXTS)

    loaded.model.eval()
    for text, vector in zip(TEXTS, found, strict=True):
        alone = encode(loaded.model, loaded.tokeniser([text]), loaded.tokeniser)
        assert np.allclose(vector, alone.detach().numpy()[0], atol=1e-5)
    assert np.array_equal(found[0], found[2])


def test_dropout_is_off_and_the_model_trains_on_afterwards(loaded: LoadedEncoder) -> None:
    loaded.model.train()

    assert np.array_equal(embedded(loaded, TEXTS), embedded(loaded, TEXTS))
    assert loaded.model.training


@dataclass(frozen=True)
class InTurn(Ranks):
    """Processes that run one after the other: each adds up with those before it."""

    shares: list[torch.Tensor] = field(default_factory=list[torch.Tensor])

    def add_up(self, tensors: Iterable[torch.Tensor]) -> None:
        for tensor in tensors:
            self.shares.append(tensor.clone())
            tensor.copy_(torch.stack(self.shares).sum(dim=0))


def test_several_processes_share_the_texts_and_get_the_very_embeddings_of_one(
    loaded: LoadedEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "_BLOCK", 1)
    shares: list[torch.Tensor] = []
    tokens = loaded.tokeniser(TEXTS)
    found = [
        embed(loaded.model, tokens, loaded.tokeniser, what="texts", ranks=InTurn(rank, 3, shares))
        for rank in range(3)
    ]

    assert np.array_equal(found[-1], embedded(loaded, TEXTS))
    owned = torch.stack([(share != 0).any(dim=1) for share in shares])
    assert owned.sum(dim=1).tolist() == [2, 1, 1]
    assert (owned.sum(dim=0) == 1).all()


def test_an_encoder_that_gives_no_numbers_is_named(loaded: LoadedEncoder) -> None:
    with torch.no_grad():
        next(loaded.model.parameters()).fill_(float("nan"))

    with pytest.raises(CheckpointError, match="embeddings that are not numbers"):
        embedded(loaded, TEXTS)


def test_no_text_is_a_mistake_of_the_caller(loaded: LoadedEncoder) -> None:
    with pytest.raises(ValueError, match="no text"):
        embedded(loaded, [])

from pathlib import Path

import numpy as np
import pytest
import torch

from service.contract.errors import CheckpointError
from tests.tiny_encoder import write_tiny_encoder
from training import embedding
from training.embedding import embed, encode
from training.encoder import LoadedEncoder, load_encoder

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


def test_an_encoder_that_gives_no_numbers_is_named(loaded: LoadedEncoder) -> None:
    with torch.no_grad():
        next(loaded.model.parameters()).fill_(float("nan"))

    with pytest.raises(CheckpointError, match="embeddings that are not numbers"):
        embedded(loaded, TEXTS)


def test_no_text_is_a_mistake_of_the_caller(loaded: LoadedEncoder) -> None:
    with pytest.raises(ValueError, match="no text"):
        embedded(loaded, [])

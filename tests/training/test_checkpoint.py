from pathlib import Path

import pytest
import torch

from service.contract.errors import CheckpointError
from tests.tiny_data import write_checkpoint
from training.checkpoint import ENCODER, RECORD, TRAINED_PRODUCTS, load_checkpoint, text_digest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("run"), "run.epochs=1")


def test_a_finished_checkpoint_says_where_it_comes_from(folder: Path) -> None:
    checkpoint = load_checkpoint(folder)

    assert checkpoint.record.config_sha256 == checkpoint.config.digest()
    assert checkpoint.record.base == checkpoint.config.encoder.base
    assert len(checkpoint.record.data_sha256) == 64


def test_it_knows_what_it_was_trained_on(folder: Path) -> None:
    checkpoint = load_checkpoint(folder)

    assert "p-lamp-black" in checkpoint.trained_products
    assert "p-lamp-red" not in checkpoint.trained_products
    assert checkpoint.trained_on("  BLACK headphones acme offer 0 ack")
    assert not checkpoint.trained_on("black headphones acme offer 6 ack")


def test_texts_that_normalise_alike_have_one_digest() -> None:
    assert text_digest("\uff21  b") == text_digest("a b")
    assert text_digest("a b") != text_digest("ab")
    assert text_digest("lone \ud800") == text_digest("lone \ufffd")


def test_the_encoder_reads_texts_as_it_was_trained_to(folder: Path) -> None:
    checkpoint = load_checkpoint(folder)

    assert checkpoint.encoder.tokeniser.max_tokens == checkpoint.config.encoder.max_tokens
    assert next(checkpoint.encoder.model.parameters()).dtype is torch.float32


def test_no_checkpoint_and_an_unfinished_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_checkpoint(tmp_path)
    (tmp_path / "state.pt").touch()
    with pytest.raises(CheckpointError, match="holds an unfinished run"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        RECORD,
        "config.toml",
        TRAINED_PRODUCTS,
        f"{ENCODER}/config.json",
        f"{ENCODER}/model.safetensors",
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_checkpoint(tmp_path, "run.epochs=1")
    (folder / name).write_bytes(b'{"torn')

    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(folder)

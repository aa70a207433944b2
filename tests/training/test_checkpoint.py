import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from service.contract.errors import CheckpointError
from tests.tiny_data import same, write_checkpoint
from training.checkpoint import (
    ENCODER,
    RECORD,
    STATE,
    TRAINED_PRODUCTS,
    Outcome,
    finish,
    load_checkpoint,
    save_state,
    start,
    text_digest,
)
from training.config import load_config
from training.data.folders import read_data_folder
from training.product_vectors import ROWS, VECTORS, product_vectors


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
        f"{ENCODER}/tokenizer.json",
    ],
)
def test_a_damaged_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    damaged = tmp_path / "checkpoint"
    shutil.copytree(folder, damaged)
    (damaged / name).write_bytes(b'{"torn')

    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(damaged)


def test_a_state_of_something_else_is_named(tmp_path: Path) -> None:
    for foreign in ({"step": 1}, [1, 2]):
        torch.save(foreign, tmp_path / STATE)

        with pytest.raises(CheckpointError, match=r"state\.pt is no state of a run"):
            start(tmp_path, load_config(), data_digest="d")


def test_what_a_run_leaves_before_its_first_state_does_not_stop_the_next(tmp_path: Path) -> None:
    """A draft of the settings, as a kill in the middle of writing them leaves it."""
    for name in (".config.toml-x1y2", ".state.pt", "log.jsonl"):
        (tmp_path / name).touch()

    assert start(tmp_path, load_config(), data_digest="d") is None


def test_a_state_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / f".{STATE}").mkdir()  # stands where the draft should

    with pytest.raises(CheckpointError, match="cannot be written") as caught:
        save_state(tmp_path, {"step": 1}, load_config(), data_digest="d")
    assert "\n" not in str(caught.value)


def test_an_encoder_that_cannot_be_written_leaves_the_run_unfinished(
    folder: Path, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(folder)
    data = read_data_folder(folder.parent / "data")
    (tmp_path / ENCODER).touch()  # stands where the folder should

    with pytest.raises(CheckpointError, match="encoder cannot be written"):
        finish(
            tmp_path,
            checkpoint.config,
            Outcome(checkpoint.encoder, None, steps=1),
            data,
            data_digest="0" * 64,
        )
    assert not (tmp_path / RECORD).exists()


def test_a_checkpoint_gives_back_what_its_run_gave(folder: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(folder)
    data = read_data_folder(folder.parent / "data")
    vectors = product_vectors(np.eye(2, 32, dtype=np.float32), [1, 0], ["a", "b"], ["x", "y"])
    start(tmp_path, checkpoint.config, data_digest="d")
    finish(
        tmp_path,
        checkpoint.config,
        Outcome(checkpoint.encoder, vectors, steps=7),
        data,
        data_digest="d",
    )

    found = load_checkpoint(tmp_path)
    assert (found.record.steps, found.config) == (7, checkpoint.config)
    assert same(found.encoder.model.state_dict(), checkpoint.encoder.model.state_dict())
    assert checkpoint.product_vectors is None
    assert found.product_vectors is not None
    assert found.product_vectors.row_of == vectors.row_of
    assert np.array_equal(found.product_vectors.vectors, vectors.vectors)


@pytest.mark.parametrize("name", [VECTORS, ROWS])
def test_damaged_vectors_of_products_are_named(folder: Path, tmp_path: Path, name: str) -> None:
    damaged = tmp_path / "checkpoint"
    shutil.copytree(folder, damaged)
    vectors = np.eye(2, 32, dtype=np.float32)
    product_vectors(vectors, [1, 0], ["a", "b"], ["x", "y"]).write(damaged)
    (damaged / name).write_bytes(b'{"torn')

    with pytest.raises(CheckpointError, match=r"product vectors .* are damaged"):
        load_checkpoint(damaged)

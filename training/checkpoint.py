"""A run on disk: state to resume from, then weights, settings and provenance to export from."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from service.contract.errors import CheckpointError, ConfigError
from service.contract.release import RELEASE
from training.config import Config, load_config
from training.console import first_line
from training.data.folders import DataFolder
from training.data.splits import text_digest
from training.data.table_writer import write_bytes
from training.durable import flush_to_disk
from training.encoder import LoadedEncoder, load_encoder
from training.product_vectors import ProductVectors, read_product_vectors

CONFIG = "config.toml"
ENCODER = "encoder"
RECORD = "checkpoint.json"
STATE = "state.pt"
TRAINED_PRODUCTS = "trained_products.txt"
TRAINED_TEXTS = "trained_texts.txt"
LOG = "log.jsonl"
CURVES = "curves.png"


class CheckpointRecord(BaseModel):
    """Where a finished checkpoint comes from; written last, so its presence means finished."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: str
    base: str
    steps: int
    epochs: int
    seed: int
    config_sha256: str
    data_sha256: str
    commit: str | None


@dataclass(frozen=True)
class Checkpoint:
    """A finished run: settings, trained encoder, provenance, what it was trained on.

    Attributes:
        trained_products: ids of the products that had a training query.
        trained_texts: `text_digest` of every training query, so that none of them is taken
            for a fresh one when a threshold is calibrated.
        product_vectors: vectors that are served in place of the embeddings of products' texts;
            None where the base gives none.
    """

    folder: Path
    config: Config
    record: CheckpointRecord
    encoder: LoadedEncoder
    trained_products: frozenset[str]
    trained_texts: frozenset[str]
    product_vectors: ProductVectors | None

    def trained_on(self, text: str) -> bool:
        """Return whether this text, once normalised, was a training query."""
        return text_digest(text) in self.trained_texts


@dataclass(frozen=True)
class Outcome:
    """What a run gave, before it is written."""

    encoder: LoadedEncoder
    product_vectors: ProductVectors | None
    steps: int


def start(folder: Path, config: Config, *, data_digest: str) -> dict[str, Any] | None:
    """Open ``folder`` for a run and return the state to resume from, or None to begin.

    Raises:
        CheckpointError: if the folder holds something else: another run's state or files.
    """
    if (folder / STATE).is_file():
        state = _read_state(folder / STATE)
        _must_match(folder, state["config_sha256"], state["data_sha256"], config, data_digest)
        return state
    if folder.is_dir() and not all(_is_of_a_run_just_begun(path) for path in folder.iterdir()):
        message = f"{folder} holds files but no unfinished run; name another folder"
        raise CheckpointError(message)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOG).unlink(missing_ok=True)
    except OSError as error:
        message = f"{folder} cannot be made ({error.strerror}); name another folder"
        raise CheckpointError(message) from error
    write_bytes(folder / CONFIG, config.to_toml().encode())
    return None


def is_finished(folder: Path, config: Config, *, data_digest: str) -> bool:
    """Return whether ``folder`` already holds this very run, finished.

    Raises:
        CheckpointError: if it holds a finished run of other settings or other data.
    """
    if not (folder / RECORD).is_file():
        return False
    record = _read_record(folder)
    _must_match(folder, record.config_sha256, record.data_sha256, config, data_digest)
    return True


def save_state(folder: Path, state: dict[str, Any], config: Config, *, data_digest: str) -> None:
    """Replace the state to resume from, whole or not at all.

    Raises:
        CheckpointError: if it cannot be written.
    """
    draft = folder / f".{STATE}"
    digests = {"config_sha256": config.digest(), "data_sha256": data_digest}
    try:
        torch.save(state | digests, draft)
        flush_to_disk(draft)
        draft.replace(folder / STATE)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError of a full disk
        message = (
            f"{folder / STATE} cannot be written ({first_line(error)}); make room, then run the "
            "same command again"
        )
        raise CheckpointError(message) from error


def finish(
    folder: Path, config: Config, outcome: Outcome, data: DataFolder, *, data_digest: str
) -> None:
    """Write what export needs, then the record that says the run is finished.

    Raises:
        CheckpointError: if the encoder cannot be written.
    """
    _write_encoder(folder / ENCODER, outcome.encoder)
    if outcome.product_vectors is not None:
        outcome.product_vectors.write(folder)
    _write_lines(folder / TRAINED_PRODUCTS, map(json.dumps, sorted(data.trained_products())))
    digests = {text_digest(query.text) for query in data.split("train")}
    _write_lines(folder / TRAINED_TEXTS, sorted(digests))
    record = CheckpointRecord(
        release=RELEASE,
        base=config.encoder.base,
        steps=outcome.steps,
        epochs=config.run.epochs,
        seed=config.run.seed,
        config_sha256=config.digest(),
        data_sha256=data_digest,
        commit=current_commit(),
    )
    write_bytes(folder / RECORD, (record.model_dump_json(indent=2) + "\n").encode())
    (folder / STATE).unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> Checkpoint:
    """Return a finished run.

    Raises:
        CheckpointError: if there is none in ``folder``, or a file of it is damaged.
    """
    if not (folder / RECORD).is_file():
        unfinished = "an unfinished run" if (folder / STATE).is_file() else "no checkpoint"
        message = (
            f"{folder} holds {unfinished}; run `python -m training fit --out {folder}` to its end"
        )
        raise CheckpointError(message)
    record = _read_record(folder)
    try:
        config = load_config(folder / CONFIG)
        encoder = load_encoder(
            str(folder / ENCODER),
            max_tokens=config.encoder.max_tokens,
            pooling=config.encoder.pooling,
        )
        products = frozenset(map(json.loads, _read_lines(folder / TRAINED_PRODUCTS)))
        texts = frozenset(_read_lines(folder / TRAINED_TEXTS))
    except (ConfigError, OSError, ValueError) as error:
        message = f"checkpoint {folder} is damaged ({error}); train again"
        raise CheckpointError(message) from error
    vectors = read_product_vectors(folder)
    return Checkpoint(folder, config, record, encoder, products, texts, vectors)


def current_commit() -> str | None:
    """Return the commit of this source tree, or None where it is no git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # fixed words
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def _must_match(
    folder: Path, config_sha256: str, data_sha256: str, config: Config, data_digest: str
) -> None:
    for what, old, new in (
        ("settings", config_sha256, config.digest()),
        ("data", data_sha256, data_digest),
    ):
        if old != new:
            message = f"{folder} holds a run with other {what}; name another folder or remove it"
            raise CheckpointError(message)


def _write_encoder(folder: Path, encoder: LoadedEncoder) -> None:
    try:
        encoder.model.transformer.save_pretrained(folder)  # pyright: ignore[reportCallIssue]  # AutoModel has it
        encoder.tokenizer.save(str(folder / "tokenizer.json"))
        for path in folder.iterdir():
            flush_to_disk(path)
    except Exception as error:  # safetensors and tokenizers raise kinds of their own
        message = (
            f"{folder} cannot be written ({first_line(error)}); make room, then run the same "
            "command again"
        )
        raise CheckpointError(message) from error


def _is_of_a_run_just_begun(path: Path) -> bool:
    """Return whether a run that stopped before its first state may have left this file."""
    drafts = (f".{CONFIG}-", f".{STATE}")
    return path.name in (CONFIG, LOG) or path.name.startswith(drafts)


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for a damaged file
        message = f"{path} is damaged ({type(error).__name__}); remove it to start the run again"
        raise CheckpointError(message) from error
    if not isinstance(state, dict) or "config_sha256" not in state:
        message = f"{path} is no state of a run; name another folder, or remove it to begin"
        raise CheckpointError(message)
    return state


def _read_record(folder: Path) -> CheckpointRecord:
    try:
        return CheckpointRecord.model_validate_json((folder / RECORD).read_bytes())
    except ValidationError as error:
        message = f"{folder / RECORD} is damaged; train again into another folder"
        raise CheckpointError(message) from error


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def _read_lines(path: Path) -> list[str]:
    *lines, rest = path.read_text(encoding="utf-8").split("\n")
    if rest:
        message = f"{path.name} ends in the middle of a line"
        raise ValueError(message)
    return lines

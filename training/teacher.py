"""The frozen encoder that a run's own one follows: opened, checked, its embeddings at hand."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from service.contract.errors import CheckpointError, ConfigError
from training.batches import Batch, TrainingSet
from training.checkpoint import ENCODER, RECORD, STATE, load_checkpoint
from training.config import Config
from training.embedding import embed
from training.encoder import LoadedEncoder, SentenceEncoder, load_encoder
from training.ranks import Ranks

_MB = 2**20


@dataclass(frozen=True)
class KnownEmbeddings:
    """The teacher's embeddings of all training texts, by row of the training set."""

    queries: Float32[np.ndarray, "query dim"]
    products: Float32[np.ndarray, "product dim"]

    def of(self, batch: Batch) -> Float[Tensor, "text dim"]:
        """Return those of a step's queries, then of its products."""
        parts = (self.queries[batch.queries], self.products[batch.products])
        return torch.from_numpy(np.concatenate(parts))


@dataclass(frozen=True)
class Teacher:
    """An encoder in evaluation mode, without gradients.

    Attributes:
        digest: SHA-256 of its weights, so that a run goes on with the very teacher it began with.
        known: embeddings of all training texts; None where they would not fit into memory, and
            each step computes its own.
    """

    model: SentenceEncoder
    digest: str
    known: KnownEmbeddings | None


def open_teacher(
    config: Config, student: LoadedEncoder, data: TrainingSet, ranks: Ranks
) -> Teacher | None:
    """Return the run's teacher on the device of the student, None if it has none.

    Raises:
        ConfigError: if there is no such teacher, or it does not fit the student.
    """
    settings = config.distillation
    if not settings.is_on:
        return None
    loaded = _load(settings.teacher, config)
    _must_fit(loaded, student, config)
    model = loaded.model.to(next(student.model.parameters()).device)
    model.eval().requires_grad_(False)
    texts = len(data.queries) + len(data.products)
    known = None
    if texts * loaded.dim * np.float32().nbytes <= settings.cache_mb * _MB:
        queries, products = (
            embed(model, table, student.tokeniser, what=f"the teacher's {what}", ranks=ranks)
            for what, table in (("queries", data.queries), ("products", data.products))
        )
        known = KnownEmbeddings(queries, products)
    return Teacher(model, _digest(model), known)


def _load(name: str, config: Config) -> LoadedEncoder:
    """Return a checkpoint's encoder, or a base pooled as the student is."""
    max_tokens, pooling = config.encoder.max_tokens, config.encoder.pooling
    base, folder = name, Path(name)
    try:
        if (folder / RECORD).is_file() or (folder / STATE).is_file():
            pooling = load_checkpoint(folder).config.encoder.pooling
            base = str(folder / ENCODER)
        return load_encoder(base, max_tokens=max_tokens, pooling=pooling)
    except (ConfigError, CheckpointError) as error:
        message = f"distillation.teacher: {error}"
        raise ConfigError(message) from error


def _must_fit(teacher: LoadedEncoder, student: LoadedEncoder, config: Config) -> None:
    settings = config.distillation
    if teacher.tokenizer.to_str() != student.tokenizer.to_str():
        message = (
            f"distillation.teacher {settings.teacher!r} reads another tokenizer than encoder.base "
            f"{config.encoder.base!r}; name a teacher of the same family"
        )
        raise ConfigError(message)
    if settings.form == "embedding" and teacher.dim != student.dim:
        message = (
            f"distillation.teacher has embeddings of {teacher.dim} entries, the encoder of "
            f'{student.dim}; use distillation.form = "similarity", or a teacher of {student.dim}'
        )
        raise ConfigError(message)


def _digest(model: SentenceEncoder) -> str:
    digest = hashlib.sha256(model.pooling.encode())
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.cpu().numpy().tobytes())
    return digest.hexdigest()

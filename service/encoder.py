"""The exported encoder: texts to unit embeddings with ONNX Runtime."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from service.contract.tokens import TextTokeniser, TokenisedText, batches_by_length
from service.cores import available_cores
from service.embedded import Embedded, OnDevice
from service.onnx_session import (
    Device,
    embedding_dim,
    is_scaled_by_batch,
    open_session,
    run_in_place,
)
from service.token_budget import DEFAULT_TOKENS, TokenBudget

UNIT_TOLERANCE = 0.01
"""How far from 1 the length of an embedding may be before it counts as failed."""
MAX_TEXTS = 1024
"""Most texts of one run."""


class Failure(StrEnum):
    """How a run failed."""

    OUT_OF_MEMORY = "oom"
    INVALID = "invalid"  # it gave something that is no unit vector
    RUNTIME = "runtime"  # it raised


class Encoder:
    """One ONNX Runtime session that many threads run; safe to share between them.

    Every run uses one core, so batches run side by side instead of inside each other, and a
    text's embedding depends on its neighbours by rounding only (below 1e-5). An encoder whose
    numbers depend on the whole batch is run text by text.

    Attributes:
        budget: the most tokens of a run, padding included.
        max_texts: the most texts of a run.
        on_failure: told of each text that failed alone, and whether it was found in a batch.
    """

    def __init__(
        self,
        path: Path,
        tokeniser: TextTokeniser,
        *,
        workers: int | None = None,
        device: Device = Device.CPU,
        device_memory_mb: int | None = None,
        in_place: bool | None = None,
    ) -> None:
        """Open the session.

        Args:
            path: the ONNX file.
            tokeniser: what makes its tokens.
            workers: threads of `encode`; one per core where None.
            device: where it runs.
            device_memory_mb: most memory of an accelerator; None is no bound.
            in_place: whether `encode_in_place` leaves vectors on the device; None does so on an
                accelerator.
        """
        self._in_place = device is not Device.CPU if in_place is None else in_place
        self.tokeniser = tokeniser
        self.device = device
        self.budget = TokenBudget()
        self.on_failure: Callable[[Failure, bool], None] = _say_nothing
        self._session = open_session(path, device, memory_mb=device_memory_mb)
        self.dim = embedding_dim(path, self._session)
        self.max_texts = 1 if is_scaled_by_batch(path) else MAX_TEXTS
        self._pool = ThreadPoolExecutor(workers or available_cores(), thread_name_prefix="encode")

    def tokenise(self, texts: Sequence[str]) -> list[TokenisedText]:
        """Return the tokens of each text, in order."""
        return self.tokeniser(texts)

    def encode(self, texts: Sequence[TokenisedText]) -> Float32[np.ndarray, "text dim"]:
        """Return one unit embedding a text; a row of NaN where the encoder failed on it."""
        embeddings = np.empty((len(texts), self.dim), dtype=np.float32)
        tokens = DEFAULT_TOKENS if self.max_texts > 1 else 1
        batches = batches_by_length(texts, max_padded_tokens=tokens)
        run = map if len(batches) == 1 else self._pool.map
        work = [[texts[row] for row in rows] for rows in batches]
        for rows, found in zip(batches, run(self.encode_together, work), strict=True):
            embeddings[rows] = found
        return embeddings

    def embed(self, texts: Sequence[str]) -> Float32[np.ndarray, "text dim"]:
        """Return one unit embedding a raw text; a row of NaN where the encoder failed."""
        return self.encode(self.tokenise(texts))

    def encode_together(self, texts: Sequence[TokenisedText]) -> Float32[np.ndarray, "text dim"]:
        """Return one unit embedding a text from one run on this thread; NaN where it failed.

        Texts that fail are run again without the others, half by half where all of them do, so
        that a bad text costs only itself.
        """
        return self._isolate(texts, was_together=False)

    def encode_in_place(self, texts: Sequence[TokenisedText]) -> Embedded:
        """Return what `encode_together` does, and where an accelerator left the vectors.

        On a CPU, and wherever a text fails, there is only the copy.
        """
        if not self._in_place or len(texts) > self.max_texts:
            return Embedded(self.encode_together(texts))
        try:
            value = run_in_place(self._session, self._inputs(texts), self.device)
            vectors = np.array(value.numpy()).reshape(len(texts), self.dim)
        except Exception as error:  # as in `_run`: each text alone says which of them it was
            self._failure_of(error)
            return Embedded(self.encode_together(texts))
        if not _is_unit(vectors).all():
            return Embedded(self.encode_together(texts))
        return Embedded(vectors, OnDevice(value, texts=len(texts), dim=self.dim))

    def _inputs(self, texts: Sequence[TokenisedText]) -> dict[str, np.ndarray]:
        batch = self.tokeniser.pad(texts)
        return {"input_ids": batch.ids, "attention_mask": batch.mask}

    def _isolate(
        self, texts: Sequence[TokenisedText], *, was_together: bool
    ) -> Float32[np.ndarray, "text dim"]:
        embeddings, failure = self._run(texts)
        if failure is None:
            return embeddings
        if len(texts) == 1:
            self.on_failure(failure, was_together)
            return embeddings
        failed = np.flatnonzero(np.isnan(embeddings[:, 0]))
        parts = [failed] if len(failed) < len(texts) else np.array_split(failed, 2)
        for part in parts:
            again = [texts[row] for row in part.tolist()]
            embeddings[part] = self._isolate(again, was_together=True)
        return embeddings

    def _run(
        self, texts: Sequence[TokenisedText]
    ) -> tuple[Float32[np.ndarray, "text dim"], Failure | None]:
        """Return what one run makes of ``texts``; a row of NaN where that is no unit vector."""
        shape = (len(texts), self.dim)
        try:
            found = self._session.run(["embedding"], self._inputs(texts))[0]
            embeddings = np.array(found, dtype=np.float32).reshape(shape)
        except Exception as error:  # whatever a run raises must be an answer of these texts alone
            return np.full(shape, np.nan, dtype=np.float32), self._failure_of(error)
        works = _is_unit(embeddings)
        if works.all():
            return embeddings, None
        embeddings[~works] = np.nan
        return embeddings, Failure.INVALID

    def _failure_of(self, error: Exception) -> Failure:
        said = str(error).lower()
        if isinstance(error, MemoryError) or "memory" in said or "bad_alloc" in said:
            self.budget.halve()
            return Failure.OUT_OF_MEMORY
        return Failure.RUNTIME


def _say_nothing(_failure: Failure, _was_together: bool, /) -> None:
    """Tell nobody, where nobody asked."""


def _is_unit(embeddings: Float32[np.ndarray, "text dim"]) -> Bool[np.ndarray, " text"]:
    with np.errstate(over="ignore"):
        length = np.linalg.norm(embeddings, axis=1)
    return np.abs(length - 1) <= UNIT_TOLERANCE  # False where a number is NaN or infinite

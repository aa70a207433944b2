"""The exported encoder: texts to unit embeddings with ONNX Runtime."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
from jaxtyping import Bool, Float32

from service.contract.errors import BundleCorruptError
from service.contract.tokens import TextTokeniser, TokenisedText, batches_by_length

MAX_PADDED_TOKENS = 256
"""Tokens of one run; on a CPU throughput is flat above about 128 and memory is not."""

UNIT_TOLERANCE = 0.01
"""How far from 1 the length of an embedding may be before it counts as failed."""


class Encoder:
    """One ONNX Runtime session and the threads that run it; safe to share between threads.

    Every run uses one core, so batches run side by side instead of inside each other, and a
    text's embedding depends on its neighbours by rounding only (below 1e-5).
    """

    def __init__(self, path: Path, tokeniser: TextTokeniser, *, workers: int | None = None) -> None:
        self.tokeniser = tokeniser
        self._session = _open_session(path)
        self.dim = _embedding_dim(path, self._session)
        self._pool = ThreadPoolExecutor(workers or available_cores(), thread_name_prefix="encode")

    def tokenise(self, texts: Sequence[str]) -> list[TokenisedText]:
        """Return the tokens of each text, in order."""
        return self.tokeniser(texts)

    def encode(self, texts: Sequence[TokenisedText]) -> Float32[np.ndarray, "text dim"]:
        """Return one unit embedding a text; a row of NaN where the encoder failed on it.

        What fails in a batch is run again text by text, so one bad text costs only itself.
        """
        embeddings = np.empty((len(texts), self.dim), dtype=np.float32)
        batches = batches_by_length(texts, max_padded_tokens=MAX_PADDED_TOKENS)
        run = map if len(batches) == 1 else self._pool.map
        work = [[texts[row] for row in rows] for rows in batches]
        for rows, found in zip(batches, run(self._encode_isolated, work), strict=True):
            embeddings[rows] = found
        return embeddings

    def embed(self, texts: Sequence[str]) -> Float32[np.ndarray, "text dim"]:
        """Return one unit embedding a raw text; a row of NaN where the encoder failed."""
        return self.encode(self.tokenise(texts))

    def _encode_isolated(self, texts: Sequence[TokenisedText]) -> Float32[np.ndarray, "text dim"]:
        embeddings = self._run(texts)
        if len(texts) > 1:
            for row in np.flatnonzero(np.isnan(embeddings[:, 0])).tolist():
                embeddings[row] = self._run([texts[row]])[0]
        return embeddings

    def _run(self, texts: Sequence[TokenisedText]) -> Float32[np.ndarray, "text dim"]:
        """Return what one run makes of ``texts``; a row of NaN where that is no unit vector."""
        batch = self.tokeniser.pad(texts)
        inputs = {"input_ids": batch.ids, "attention_mask": batch.mask}
        shape = (len(texts), self.dim)
        try:
            found = self._session.run(["embedding"], inputs)[0]
            embeddings = np.array(found, dtype=np.float32).reshape(shape)
        except Exception:  # whatever a run raises must become an answer of these texts alone
            return np.full(shape, np.nan, dtype=np.float32)
        embeddings[~_is_unit(embeddings)] = np.nan
        return embeddings


def available_cores() -> int:
    """Return the number of cores this process may use, at least 1."""
    return max(1, len(os.sched_getaffinity(0)))


def _is_unit(embeddings: Float32[np.ndarray, "text dim"]) -> Bool[np.ndarray, " text"]:
    with np.errstate(over="ignore"):
        length = np.linalg.norm(embeddings, axis=1)
    return np.abs(length - 1) <= UNIT_TOLERANCE  # False where a number is NaN or infinite


def _open_session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no public base class
        message = f"{path} is no model that ONNX Runtime opens ({error}); build the bundle again"
        raise BundleCorruptError(message) from error


def _embedding_dim(path: Path, session: ort.InferenceSession) -> int:
    shapes = {output.name: output.shape for output in session.get_outputs()}
    shape = shapes.get("embedding", [])
    if len(shape) != 2 or not isinstance(shape[1], int):  # noqa: PLR2004  # text x dim
        message = (
            f"{path} has outputs {shapes}, not one `embedding` of fixed length a text; "
            "build the bundle again"
        )
        raise BundleCorruptError(message)
    return shape[1]

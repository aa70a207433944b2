"""The exported encoder: texts to unit embeddings with ONNX Runtime."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32

from service.contract.errors import BundleCorruptError
from service.contract.tokens import TextTokeniser, TokenBatch, TokenisedText, batches_by_length

MAX_PADDED_TOKENS = 256
"""Tokens of one run; on a CPU throughput is flat above about 128 and memory is not."""


class Encoder:
    """One ONNX Runtime session and the threads that run it; safe to share between threads.

    Every run uses one core, so batches run side by side instead of inside each other, and a
    text's embedding depends on its neighbours by rounding only (below 1e-5).
    """

    def __init__(self, path: Path, tokeniser: TextTokeniser, *, workers: int | None = None) -> None:
        self.tokeniser = tokeniser
        self._session = _open_session(path)
        self.dim = int(self._session.get_outputs()[0].shape[1])
        self._pool = ThreadPoolExecutor(workers or available_cores(), thread_name_prefix="encode")

    def tokenise(self, texts: Sequence[str]) -> list[TokenisedText]:
        """Return the tokens of each text, in order."""
        return self.tokeniser(texts)

    def encode(self, texts: Sequence[TokenisedText]) -> Float32[np.ndarray, "text dim"]:
        """Return one unit embedding a text; a row of NaN where the encoder failed on it.

        A batch that fails is run again text by text, so one bad text costs only itself.
        """
        embeddings = np.full((len(texts), self.dim), np.nan, dtype=np.float32)
        batches = batches_by_length(texts, max_padded_tokens=MAX_PADDED_TOKENS)
        run = map if len(batches) == 1 else self._pool.map
        work = [[texts[row] for row in rows] for rows in batches]
        for rows, found in zip(batches, run(self._encode_isolated, work), strict=True):
            embeddings[rows] = found
        embeddings[~np.isfinite(embeddings).all(axis=1)] = np.nan
        return embeddings

    def embed(self, texts: Sequence[str]) -> Float32[np.ndarray, "text dim"]:
        """Return one unit embedding a raw text; a row of NaN where the encoder failed."""
        return self.encode(self.tokenise(texts))

    def _encode_isolated(self, texts: Sequence[TokenisedText]) -> Float32[np.ndarray, "text dim"]:
        try:
            return self._run(self.tokeniser.pad(texts))
        except Exception:  # whatever a run raises must become an answer of these texts alone
            if len(texts) == 1:
                return np.full((1, self.dim), np.nan, dtype=np.float32)
            return np.concatenate([self._encode_isolated([text]) for text in texts])

    def _run(self, batch: TokenBatch) -> Float32[np.ndarray, "text dim"]:
        inputs = {"input_ids": batch.ids, "attention_mask": batch.mask}
        return np.asarray(self._session.run(["embedding"], inputs)[0], dtype=np.float32)


def available_cores() -> int:
    """Return the number of cores this process may use, at least 1."""
    return max(1, len(os.sched_getaffinity(0)))


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

"""The bundle's encoder for peers that bring none: the same ONNX file, tokenizer and precision.

What a peer has put together is sorted by length and encoded 32 texts at a time, as
sentence-transformers does it; or, where `BENCH_PACKED` is set, 128 padded tokens at a time, as our
own service does it, which no peer would do by itself.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Encoding, Tokenizer

PACKED = "BENCH_PACKED" in os.environ
TEXTS_A_RUN = 32
PADDED_TOKENS = 128


class OnnxEncoder:
    """A session and a tokenizer."""

    def __init__(self, *, threads: int) -> None:
        bundle = Path(os.environ["BENCH_BUNDLE"])
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = str(bundle / "encoder.onnx")
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
        self._tokenizer.no_padding()

    def tokenise(self, texts: Sequence[str]) -> list[Encoding]:
        """Return the tokens of each text, special ones included."""
        return self._tokenizer.encode_batch_fast(list(texts))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return a unit vector a text, in order."""
        tokens = self.tokenise(texts)
        by_length = sorted(range(len(tokens)), key=lambda row: len(tokens[row].ids))
        batches: list[list[int]] = []
        for row in by_length:
            if batches and self._has_room(len(batches[-1]), len(tokens[row].ids)):
                batches[-1].append(row)
            else:
                batches.append([row])
        found = [self.encode([tokens[row] for row in rows]) for rows in batches]
        in_order = np.empty_like(embeddings := np.concatenate(found))
        in_order[[row for rows in batches for row in rows]] = embeddings
        return in_order

    def encode(self, tokens: Sequence[Encoding]) -> np.ndarray:
        """Return a unit vector a text from one run, padded to the longest of them."""
        longest = max(len(text.ids) for text in tokens)
        ids = np.zeros((len(tokens), longest), dtype=np.int64)
        mask = np.zeros((len(tokens), longest), dtype=np.int64)
        for row, text in enumerate(tokens):
            ids[row, : len(text.ids)] = text.ids
            mask[row, : len(text.ids)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        return np.asarray(self._session.run(["embedding"], inputs)[0])

    def _has_room(self, texts: int, longest: int) -> bool:
        if PACKED:
            return longest * (texts + 1) <= PADDED_TOKENS
        return texts < TEXTS_A_RUN

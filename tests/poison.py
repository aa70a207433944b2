"""An encoder session that misbehaves on every batch that holds one token."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import onnxruntime as ort

Harm = Literal[
    "raises",
    "runs out of memory",
    "gives NaN",
    "gives infinity",
    "gives NaN to the whole batch",
    "gives a zero vector",
    "gives a long vector",
    "gives huge numbers",
    "gives too few rows",
    "gives nothing",
]
HARMS: tuple[Harm, ...] = get_args(Harm)

FACTOR: Mapping[Harm, float] = {
    "gives NaN": np.nan,
    "gives infinity": np.inf,
    "gives a zero vector": 0.0,
    "gives a long vector": 1.5,
    "gives huge numbers": 1e30,
}


class PoisonSession:
    """Stands where an ONNX Runtime session stands; real but for texts with the token."""

    def __init__(self, path: Path, *, token: int, harm: Harm) -> None:
        self._session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self._token = token
        self._harm: Harm = harm
        self.runs = 0

    def run(
        self, outputs: Sequence[str], inputs: Mapping[str, np.ndarray]
    ) -> list[np.ndarray | None]:
        """Return what the session gives, harmed where a text holds the token."""
        self.runs += 1
        embeddings = np.asarray(self._session.run(list(outputs), dict(inputs))[0])
        poisoned = (inputs["input_ids"] == self._token).any(axis=1)
        return [self._harmed(embeddings, poisoned) if poisoned.any() else embeddings]

    def _harmed(self, embeddings: np.ndarray, poisoned: np.ndarray) -> np.ndarray | None:
        if self._harm == "raises":
            message = "the session failed"
            raise RuntimeError(message)
        if self._harm == "runs out of memory":
            message = "Failed to allocate memory for requested buffer of size 123"
            raise RuntimeError(message)
        if self._harm == "gives nothing":
            return None
        if self._harm == "gives too few rows":
            return embeddings[:-1]
        if self._harm == "gives NaN to the whole batch":
            return np.full_like(embeddings, np.nan)
        harmed = embeddings.copy()
        harmed[poisoned] *= FACTOR[self._harm]
        return harmed

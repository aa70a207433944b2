"""BentoML around the bundle's encoder: adaptive batching, a worker process for each core."""

import os

import bentoml
import numpy as np
from onnx_encoder import OnnxEncoder

MOST_TEXTS = 64


@bentoml.service(
    workers=len(os.sched_getaffinity(0)), traffic={"timeout": 120}, metrics={"enabled": False}
)
class Encode:
    """Encodes what the framework has put together."""

    def __init__(self) -> None:
        self._encoder = OnnxEncoder(threads=1)

    @bentoml.api(
        route="/embeddings", batchable=True, max_batch_size=MOST_TEXTS, max_latency_ms=100_000
    )
    def embeddings(self, input: list[str]) -> np.ndarray:  # noqa: A002  # the name in the body
        """Return a vector a text."""
        return self._encoder.embed(input)

"""mosec around the bundle's encoder: a Rust front, dynamic batching, a process for each core."""

import os
from typing import Any

import orjson
from mosec import Server, Worker
from onnx_encoder import OnnxEncoder

MOST_BODIES = 8
"""Of a batch; on a CPU more add padding and no speed."""

WAIT_MILLISECONDS = 1
"""The least that mosec takes where it is to batch at all; a longer wait only delays."""


class Encode(Worker):
    """Encodes the texts of all bodies of a batch together."""

    def __init__(self) -> None:
        self._encoder = OnnxEncoder(threads=1)

    def deserialize(self, data: bytes) -> Any:
        """Return the body of a request."""
        return orjson.loads(data)

    def serialize(self, data: Any) -> bytes:
        """Return the body of an answer."""
        return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)

    def forward(self, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return an answer for each body."""
        embeddings = self._encoder.embed([text for body in data for text in body["input"]])
        answers: list[dict[str, Any]] = []
        for body in data:
            own, embeddings = embeddings[: len(body["input"])], embeddings[len(body["input"]) :]
            answers.append({"data": [{"embedding": embedding} for embedding in own]})
        return answers


if __name__ == "__main__":
    server = Server()
    server.append_worker(
        Encode,
        num=len(os.sched_getaffinity(0)),
        max_batch_size=MOST_BODIES,
        max_wait_time=WAIT_MILLISECONDS,
        route="/embeddings",
    )
    server.run()

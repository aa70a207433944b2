"""How each system under load is asked for a body of texts, and how its answer is checked."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one system reads and writes.

    Attributes:
        path: of the POST.
        body: what is sent as JSON for so many texts.
        results: how many texts an answer's bytes answer; cheap, since every answer is counted.
        embeddings: the vectors of an answer, where the system returns any.
    """

    path: str
    body: Callable[[Sequence[str]], object]
    results: Callable[[bytes], int]
    embeddings: Callable[[Any], list[list[float]]] | None

    def request(self, texts: Sequence[str], host: str) -> bytes:
        """Return the bytes of a whole HTTP/1.1 request."""
        body = json.dumps(self.body(texts)).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def _of_data(answer: Any) -> list[list[float]]:
    return [entry["embedding"] for entry in answer["data"]]


PLAIN = Dialect(
    path="/embeddings",
    body=lambda texts: {"input": list(texts)},
    results=lambda answer: answer.count(b'"embedding":'),
    embeddings=_of_data,
)
"""What the peers speak whose endpoint we write ourselves."""

DIALECTS: dict[str, Dialect] = {
    "surematch": Dialect(
        path="/recommend",
        body=lambda texts: {"queries": list(texts), "k": 5},
        results=lambda answer: answer.count(b'"decision":'),
        embeddings=None,
    ),
    "surematch_embed": Dialect(
        path="/embed",
        body=lambda texts: {"texts": list(texts)},
        results=lambda answer: answer.count(b'"embedding":'),
        embeddings=lambda answer: [result["embedding"] for result in answer["results"]],
    ),
    "infinity": Dialect(
        path="/embeddings",
        body=lambda texts: {"model": "encoder", "input": list(texts)},
        results=lambda answer: answer.count(b'"index":'),
        embeddings=_of_data,
    ),
    "mosec": PLAIN,
    "mosec_packed": PLAIN,
    "bentoml": Dialect(
        path="/embeddings",
        body=lambda texts: {"input": list(texts)},
        results=lambda answer: answer.count(b"[") - 1,
        embeddings=lambda answer: answer,
    ),
    "fastembed": PLAIN,
    "tei_policy": PLAIN,
}

"""How each system is asked, and how its answers are counted."""

import json

import pytest

from tests.benchmarks.dialects import DIALECTS
from tests.benchmarks.peer_systems import PEERS

SAID = {
    "surematch": {"results": [{"decision": "manual_review", "reason": "no_threshold"}] * 2},
    "surematch_embed": {"results": [{"embedding": [0.6, 0.8], "truncated": False}] * 2},
    "infinity": {
        "object": "list",
        "data": [
            {"object": "embedding", "embedding": [0.6, 0.8], "index": 0},
            {"object": "embedding", "embedding": [0.6, 0.8], "index": 1},
        ],
    },
    "mosec": {"data": [{"embedding": [0.6, 0.8]}] * 2},
    "bentoml": [[0.6, 0.8]] * 2,
}
ANSWERS = SAID | dict.fromkeys(("mosec_packed", "fastembed", "tei_policy"), SAID["mosec"])


@pytest.mark.parametrize("name", DIALECTS)
def test_a_request_is_whole(name: str) -> None:
    dialect = DIALECTS[name]

    head, _, body = dialect.request(["ä", "b"], "127.0.0.1:80").partition(b"\r\n\r\n")

    assert head.startswith(f"POST {dialect.path} HTTP/1.1\r\n".encode())
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    assert json.loads(body) == dialect.body(["ä", "b"])


@pytest.mark.parametrize("name", DIALECTS)
def test_the_results_of_an_answer_are_counted(name: str) -> None:
    answer = json.dumps(ANSWERS[name], separators=(",", ":")).encode()

    assert DIALECTS[name].results(answer) == 2


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "surematch"])
def test_the_vectors_of_an_answer_are_found(name: str) -> None:
    embeddings = DIALECTS[name].embeddings

    assert embeddings is not None
    assert embeddings(ANSWERS[name]) == [[0.6, 0.8]] * 2


def test_every_peer_has_a_dialect() -> None:
    assert {peer.name for peer in PEERS} <= set(DIALECTS)

import json
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from surematch_client import Client
from surematch_client.retries import Retries

from deploy.demo.offers import Shops
from deploy.demo.traffic import main, send

SHOPS_PRODUCTS = 20


def asked(answers: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client(
        "http://service", transport=httpx.MockTransport(answers), retries=Retries(attempts=1)
    )


def accepting_every_second(stop: threading.Event, bodies: int) -> Callable[..., httpx.Response]:
    """Answers like the service, and asks for a stop after so many bodies."""
    seen: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        queries = json.loads(request.content)["queries"]
        seen.append(len(queries))
        if len(seen) == bodies:
            stop.set()
        results = [
            {
                "id": None,
                "decision": "auto_accepted" if place % 2 else "manual_review",
                "reason": "above_threshold" if place % 2 else "below_threshold",
                "truncated": False,
                "recommendations": [{"product_id": "p", "title": "t", "similarity": 0.9}],
                "bundle_id": "b",
            }
            for place in range(len(queries))
        ]
        return httpx.Response(200, json={"bundle_id": "b", "results": results})

    return answer


def test_it_counts_what_was_answered_and_what_was_accepted() -> None:
    stop = threading.Event()
    client = asked(accepting_every_second(stop, 2))

    counted = send(
        client, Shops(SHOPS_PRODUCTS, seed=0), stop, queries_per_second=3200, period_seconds=60
    )

    assert counted == (64, 32)


def test_a_refusal_is_said_and_the_next_body_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()
    seen: list[int] = []
    answer = accepting_every_second(stop, 1)

    def refuse_first(request: httpx.Request) -> httpx.Response:
        seen.append(1)
        return httpx.Response(503, json={}) if len(seen) == 1 else answer(request)

    counted = send(
        asked(refuse_first),
        Shops(SHOPS_PRODUCTS, seed=0),
        stop,
        queries_per_second=3200,
        period_seconds=60,
    )

    assert counted == (32, 16)
    assert "not answered: " in capsys.readouterr().err


def test_a_key_file_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--url", "http://service", "--key-file", str(tmp_path / "none")])

    assert code == 1
    assert "make it with deploy/secrets.sh" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "inf", "many"])
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SystemExit):
        main(["--url", "http://service", "--queries-per-second", text])

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from service.batching.work import Lane
from service.contract.errors import BundleCorruptError
from service.opening import OpenBundle, open_bundle_to_serve
from service.recommender import Answer, Asked, Recommender, StageClock
from service.routes import recommend
from tests.client import asking, starting


class SlowRecommender(Recommender):
    """Answers once a test lets it."""

    def __init__(self, folder: Path) -> None:
        real = open_bundle_to_serve(folder)
        self.bundle = replace(real, recommender=self)
        shared = real.recommender
        super().__init__(
            shared.encoder, shared.retriever, shared.catalogue, threshold=shared.threshold
        )
        self.go = threading.Event()
        self.asked = 0

    def answer(self, asked: Sequence[Asked], *, clock: StageClock | None = None) -> list[Answer]:
        self.asked += 1
        assert self.go.wait(20)
        return super().answer(asked, clock=clock)

    def open(self, _folder: Path, *, current: OpenBundle | None) -> OpenBundle:  # noqa: ARG002
        return self.bundle


def test_until_the_bundle_is_open_only_livez_and_metrics_answer(tiny_bundle: Path) -> None:
    go = threading.Event()

    def slowly(folder: Path, *, current: OpenBundle | None) -> OpenBundle:
        assert go.wait(20)
        return open_bundle_to_serve(folder, current=current)

    with starting(tiny_bundle, opener=slowly) as client:
        refused = [
            client.get("/readyz"),
            client.get("/info"),
            client.recommend({"queries": ["sony"]}),
            client.send(b"not json"),
        ]
        alive = [client.get(path) for path in ("/livez", "/metrics", "/docs", "/openapi.json")]
        go.set()
        client.wait_until(lambda: client.serving.generation is not None)
        ready = [client.get("/readyz"), client.recommend({"queries": ["sony"]})]

    for response in refused:
        assert response.status_code == 503
        assert response.json()["code"] == "not_ready"
        assert response.headers["content-type"] == "application/problem+json"
        assert int(response.headers["retry-after"]) >= 1
    assert [response.status_code for response in alive + ready] == [200] * 6


@pytest.mark.parametrize(
    "error", [BundleCorruptError("encoder.onnx was altered"), MemoryError(), OSError(5, "I/O")]
)
def test_a_bundle_that_cannot_be_opened_is_reported_once_and_never_ready(
    tiny_bundle: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_folder: Path, *, current: OpenBundle | None) -> OpenBundle:  # noqa: ARG001
        raise error

    failures: list[Exception] = []
    with starting(tiny_bundle, opener=fail, on_failure=failures.append) as client:
        client.wait_until(lambda: bool(failures))
        response = client.get("/readyz")

    assert response.status_code == 503
    assert len(failures) == 1
    assert str(error) in str(failures[0])
    lines = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert any(vars(line).get("reason") == str(failures[0]) for line in lines)
    tracebacks = [line for line in lines if line.exc_info]
    assert bool(tracebacks) is not isinstance(error, BundleCorruptError)


def test_the_bundle_that_was_opened_is_logged_with_its_threshold(
    tiny_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="service.live")
    with asking(tiny_bundle) as client:
        bundle_id = client.serving.opened().manifest.bundle_id

    (line,) = caplog.records
    facts = vars(line)
    assert line.getMessage() == "bundle opened"
    assert (facts["bundle_id"], facts["products"], facts["threshold"]) == (bundle_id, 8, 0.8)


def test_a_draining_service_is_not_ready_and_still_answers(tiny_bundle: Path) -> None:
    with asking(tiny_bundle) as client:
        client.serving.is_draining = True

        assert client.get("/readyz").json()["code"] == "not_ready"
        assert client.recommend({"queries": ["sony"]}).status_code == 200
        assert client.get("/livez").status_code == 200


def test_a_full_queue_refuses_and_everything_accepted_is_answered(tiny_bundle: Path) -> None:
    slow = SlowRecommender(tiny_bundle)
    with asking(tiny_bundle, opener=slow.open, workers=1, max_waiting=3, cache_bytes=0) as client:

        async def scenario() -> tuple[list[int], list[int], str, dict[str, str]]:
            post = client.asynchronous.post
            body = {"queries": ["sony"]}
            accepted = [asyncio.create_task(post("/recommend", json=body)) for _ in range(3)]
            queue = client.serving.answering.batcher.queue
            while queue.depths()[Lane.INTERACTIVE][0] < 3:
                await asyncio.sleep(0.005)
            refused = await asyncio.gather(*(post("/recommend", json=body) for _ in range(4)))
            slow.go.set()
            answered = await asyncio.gather(*accepted)
            return (
                [response.status_code for response in answered],
                [response.status_code for response in refused],
                refused[0].json()["code"],
                dict(refused[0].headers),
            )

        answered, refused, code, headers = client.run(scenario())
        again = client.recommend({"queries": ["sony"]})
        rejected = client.sample("surematch_admission_rejected_total", reason="queue_requests")
        counted = client.sample("surematch_top_similarity_count")

    assert answered == [200] * 3
    assert refused == [429] * 4
    assert code == "busy"
    assert int(headers["retry-after"]) >= 1
    assert again.status_code == 200
    assert rejected == 4
    assert counted == 4


def test_a_slow_body_does_not_keep_livez_waiting(tiny_bundle: Path) -> None:
    slow = SlowRecommender(tiny_bundle)
    with asking(tiny_bundle, opener=slow.open, workers=1) as client:

        async def scenario() -> int:
            asked = client.asynchronous.post("/recommend", json={"queries": ["sony"]})
            waiting = asyncio.create_task(asked)
            while not slow.asked:
                await asyncio.sleep(0.005)
            alive = await client.asynchronous.get("/livez")
            assert not waiting.done()
            slow.go.set()
            await waiting
            return alive.status_code

        assert client.run(scenario()) == 200


def test_a_bug_is_a_500_for_its_own_request_and_counts_no_answer(
    tiny_bundle: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        message = "a bug"
        raise KeyError(message)

    with asking(tiny_bundle) as client:
        with monkeypatch.context() as broken:
            broken.setattr(recommend, "reply_of", fail)
            response = client.recommend({"queries": ["sony"]})
        counted = client.sample("surematch_top_similarity_count")
        afterwards = client.recommend({"queries": ["sony"]})

    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert "a bug" not in response.text
    assert counted == 0
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert vars(line)["request_id"] == response.headers["x-request-id"]
    assert afterwards.status_code == 200


def test_a_service_whose_work_does_not_end_is_not_ready_but_alive(tiny_bundle: Path) -> None:
    slow = SlowRecommender(tiny_bundle)
    with asking(tiny_bundle, opener=slow.open, workers=1, deadline_seconds=5) as client:

        async def scenario() -> list[int]:
            asked = client.asynchronous.post("/recommend", json={"queries": ["sony"]})
            waiting = asyncio.create_task(asked)
            while not slow.asked:
                await asyncio.sleep(0.005)
            stuck = await client.asynchronous.get("/readyz")
            alive = await client.asynchronous.get("/livez")
            slow.go.set()
            await waiting
            again = await client.asynchronous.get("/readyz")
            return [stuck.status_code, alive.status_code, again.status_code]

        assert client.run(scenario()) == [503, 200, 200]


def test_a_stuck_worker_is_replaced_and_the_next_request_answered(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowRecommender(tiny_bundle)
    with asking(tiny_bundle, opener=slow.open, workers=1, cache_bytes=0) as client:
        batcher = client.serving.answering.batcher
        monkeypatch.setattr(batcher.progress, "_stall_seconds", 0.05)

        lost = client.recommend({"queries": ["sony"]})
        slow.go.set()
        answered = client.recommend({"queries": ["sony"]})
        restarts = client.sample("surematch_worker_restarts_total")

    assert lost.json()["results"][0]["reason"] == "encoder_failed"
    assert answered.json()["results"][0]["reason"] == "below_threshold"
    assert restarts == 1

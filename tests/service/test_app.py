import asyncio
import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from service.contract.errors import BundleCorruptError
from service.contract.manifest import Manifest
from service.recommender import Answer, Recommender, StageClock, open_recommender
from service.serving import OpenBundle
from tests.client import asking, starting


class SlowRecommender(Recommender):
    """Answers once a test lets it."""

    def __init__(self, folder: Path) -> None:
        real, self.manifest = open_recommender(folder)
        super().__init__(real.encoder, real.index, real.catalogue, threshold=real.threshold)
        self.go = threading.Event()
        self.asked = 0

    def recommend(
        self, texts: Sequence[str], *, k: int = 5, clock: StageClock | None = None
    ) -> list[Answer]:
        self.asked += 1
        assert self.go.wait(20)
        return super().recommend(texts, k=k, clock=clock)


class BrokenRecommender(SlowRecommender):
    """Fails on every body, as a bug would."""

    def recommend(
        self, texts: Sequence[str], *, k: int = 5, clock: StageClock | None = None
    ) -> list[Answer]:
        message = f"a bug at {len(texts)} texts, k {k}, {clock}"
        raise KeyError(message)


def test_until_the_bundle_is_open_only_livez_and_metrics_answer(tiny_bundle: Path) -> None:
    go = threading.Event()

    def slowly(folder: Path) -> tuple[Recommender, Manifest]:
        assert go.wait(20)
        return open_recommender(folder)

    with starting(tiny_bundle, opener=slowly) as client:
        refused = [
            client.get("/readyz"),
            client.get("/info"),
            client.recommend({"queries": ["sony"]}),
            client.send(b"not json"),
        ]
        alive = [client.get(path) for path in ("/livez", "/metrics", "/docs", "/openapi.json")]
        go.set()
        client.wait_until(lambda: client.serving.bundle is not None)
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
    def fail(_folder: Path) -> tuple[Recommender, Manifest]:
        raise error

    with starting(tiny_bundle, opener=fail) as client:
        client.wait_until(lambda: bool(caplog.records))
        response = client.get("/readyz")

    assert response.status_code == 503
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert line.getMessage() == "bundle not opened"
    assert vars(line)["reason"] == str(error)
    assert bool(line.exc_info) is not isinstance(error, BundleCorruptError)


def test_the_bundle_that_was_opened_is_logged_with_its_threshold(
    tiny_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="service.app")
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
    with asking(
        tiny_bundle, opener=lambda _: (slow, slow.manifest), workers=1, max_waiting=2
    ) as client:

        async def scenario() -> tuple[list[int], list[int], str, dict[str, str]]:
            post = client.asynchronous.post
            body = {"queries": ["sony"]}
            accepted = [asyncio.create_task(post("/recommend", json=body)) for _ in range(3)]
            while client.serving.workers.calls < 3:
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
    with asking(tiny_bundle, opener=lambda _: (slow, slow.manifest), workers=1) as client:

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
    tiny_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = BrokenRecommender(tiny_bundle)
    with asking(tiny_bundle, opener=lambda _: (broken, broken.manifest)) as client:
        response = client.recommend({"queries": ["sony"]})
        counted = client.sample("surematch_top_similarity_count")
        client.serving.open(OpenBundle(*open_recommender(tiny_bundle)))
        afterwards = client.recommend({"queries": ["sony"]})

    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert "a bug" not in response.text
    assert counted == 0
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert vars(line)["request_id"] == response.headers["x-request-id"]
    assert afterwards.status_code == 200

"""An app whose encoder can be made slow, stuck or wrong, with everything else real."""

import asyncio
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from service.batching.work import Lane
from service.opening import OpenBundle, open_bundle_to_serve
from tests.client import Client, asking

SECONDS = 30.0

Session = Any
"""What has the ``run`` of an ONNX Runtime session."""


class WatchedSession:
    """A real session whose runs are counted, and wait while the gate is shut.

    Attributes:
        gate: runs begin once it is open.
        texts: how many texts each run had, the warm-up left out.
        ids: their tokens, padding left out.
        seconds: what each run takes on top.
        begun: set once a run has begun.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        self.seconds = 0.0
        self.texts: list[int] = []
        self.ids: list[tuple[int, ...]] = []

    def run(self, outputs: Sequence[str], inputs: Mapping[str, np.ndarray]) -> Sequence[Any]:
        """Return what the real session gives."""
        self.texts.append(len(inputs["input_ids"]))
        for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True):
            self.ids.append(tuple(ids[mask == 1].tolist()))
        self.begun.set()
        assert self.gate.wait(SECONDS)
        if self.seconds:
            threading.Event().wait(self.seconds)
        return self._session.run(list(outputs), dict(inputs))


class StickySession:
    """A real session that gets stuck at every text with one token, until its gate is opened.

    Attributes:
        gate: opens what is stuck.
        stuck: set once a run is stuck.
    """

    def __init__(self, session: Session, *, token: int) -> None:
        self._session = session
        self._token = token
        self.gate = threading.Event()
        self.stuck = threading.Event()

    def run(self, outputs: Sequence[str], inputs: Mapping[str, np.ndarray]) -> Sequence[Any]:
        """Return what the real session gives, if ever."""
        if (inputs["input_ids"] == self._token).any():
            self.stuck.set()
            assert self.gate.wait(SECONDS)
        return self._session.run(list(outputs), dict(inputs))


@contextmanager
def asking_spoiled(
    folder: Path, spoil: Callable[[Session], Session], **settings: Any
) -> Generator[Client]:
    """Yield a client of an app whose first bundle runs on a spoiled session.

    Args:
        folder: the bundle; its golden examples are replayed before the session is spoiled.
        spoil: returns what takes the place of the real session.
        settings: of the app; answers are not kept unless they say so.
    """

    def opener(folder: Path, *, current: OpenBundle | None) -> OpenBundle:
        opened = open_bundle_to_serve(folder, current=current)
        encoder = opened.recommender.encoder
        encoder._session = spoil(encoder._session)  # pyright: ignore[reportPrivateUsage]  # no other seam
        return opened

    with asking(folder, opener=opener, **({"cache_bytes": 0} | settings)) as client:
        yield client


def forget_warm_up(session: WatchedSession) -> None:
    """Leave out of the counts what ran before the first request."""
    session.texts.clear()
    session.ids.clear()
    session.begun.clear()


def start(client: Client, body: object, **headers: str) -> "asyncio.Task[httpx.Response]":
    """Begin to ask; to be called on the client's event loop."""
    asked = client.asynchronous.post("/recommend", json=body, headers=headers)
    return asyncio.create_task(asked)


async def until(holds: Callable[[], bool]) -> None:
    """Wait on the client's event loop until ``holds`` says true."""
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.001)


def depths(client: Client) -> Mapping[Lane, tuple[int, int]]:
    """Return the requests under way and the tokens that wait, by lane."""
    return client.serving.answering.batcher.queue.depths()


def must_be_empty(client: Client) -> None:
    """Check that nothing waits any more, also as the metrics show it."""
    client.wait_until(lambda: set(depths(client).values()) == {(0, 0)})
    for lane in Lane:
        assert client.sample("surematch_queue_requests", lane=lane) == 0.0
        assert client.sample("surematch_queue_tokens", lane=lane) == 0.0

"""The service in this process, asked without a socket."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

from service.app import create_app
from service.live.keeper import BundleOpener
from service.serving import Serving
from service.settings import Settings

T = TypeVar("T")

READY_SECONDS = 20.0


class Client:
    """Sends requests to an app that runs in an event loop of its own."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner) -> None:
        self.app = app
        self.serving: Serving = app.state.serving
        self._runner = runner
        transport = httpx.ASGITransport(app=app)
        self.asynchronous = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what ``work`` returns; the app goes on with its own work meanwhile."""
        return self._runner.run(work)

    def request(self, method: str, path: str, **what: Any) -> httpx.Response:
        """Return the response to one request."""
        return self.run(self.asynchronous.request(method, path, **what))

    def get(self, path: str, **what: Any) -> httpx.Response:
        """Return the response to one GET."""
        return self.request("GET", path, **what)

    def recommend(self, body: object) -> httpx.Response:
        """Return the response to a body that is JSON."""
        return self.send(json.dumps(body).encode())

    def send(self, content: bytes) -> httpx.Response:
        """Return the response to a body that is any bytes."""
        return self.request("POST", "/recommend", content=content)

    def recommend_together(self, bodies: Sequence[object]) -> list[httpx.Response]:
        """Return the responses to bodies that are all under way at the same time."""

        async def everything() -> list[httpx.Response]:
            asked = (self.asynchronous.post("/recommend", json=body) for body in bodies)
            return await asyncio.gather(*asked)

        return self.run(everything())

    def sample(self, name: str, **labels: str) -> float:
        """Return the value of one metric, as /metrics shows it."""
        value = self.serving.metrics.registry.get_sample_value(name, labels)
        assert value is not None, f"no series {name}{labels}"
        return value

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Let the app work until ``holds`` says true."""

        async def watch() -> None:
            async with asyncio.timeout(READY_SECONDS):
                while not holds():
                    await asyncio.sleep(0.005)

        self.run(watch())


@contextmanager
def starting(
    folder: Path,
    *,
    opener: BundleOpener | None = None,
    on_failure: Callable[[Exception], None] | None = None,
    **settings: Any,
) -> Generator[Client]:
    """Yield a client of an app that has begun to open the bundle in ``folder``."""
    app = create_app(Settings(bundle=folder, **settings), on_failure=on_failure, opener=opener)
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        try:
            yield Client(app, runner)
        finally:
            runner.run(lifespan.__aexit__(None, None, None))


@contextmanager
def asking(
    folder: Path, *, opener: BundleOpener | None = None, **settings: Any
) -> Generator[Client]:
    """Yield a client of an app that is ready to answer from the bundle in ``folder``."""
    with starting(folder, opener=opener, **settings) as client:
        client.wait_until(lambda: client.serving.generation is not None)
        yield client

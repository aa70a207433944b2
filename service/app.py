"""The app: routes, errors and metrics wired together, with the bundle opened behind them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig

from service import docs
from service.callers import Callers
from service.contract.errors import ChangesError
from service.contract.release import RELEASE
from service.live.keeper import BundleOpener
from service.live.outcomes import RefusedError
from service.live.watcher import PointerWatcher
from service.middleware import Observed
from service.openapi import DescribedApi
from service.refusals import ANSWERED_ERRORS, answer_error
from service.routes import admin, embeddings, health, products, recommend, stream
from service.serving import Serving
from service.settings import Settings
from service.swap_target import swap_target

DESCRIPTION = "Matches texts to products and says which matches a person must check."
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}
"""FastAPI's own would export raw paths and query strings wherever a variable says so."""
WATCHDOG_SECONDS = 0.5
"""How often the workers are looked at."""
DIRECT = {
    route.path: route
    for router in (recommend.router, embeddings.router)
    for route in router.routes
    if isinstance(route, APIRoute)
}
"""Routes whose endpoints read their own body and write their own response, by path."""
ROUTERS = (
    *(recommend.router, stream.router, embeddings.router),
    *(products.router, health.router, admin.router, docs.router),
)

logger = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    *,
    on_failure: Callable[[Exception], None] | None = None,
    opener: BundleOpener | None = None,
) -> FastAPI:
    """Return the app; it opens its bundle once it runs, and answers 503 until then.

    Args:
        settings: where the bundle is, and the limits.
        on_failure: called with the reason if the first bundle cannot be opened.
        opener: opens and checks a bundle, in a thread; None opens it for real.

    Raises:
        ConfigError: if the keys file is wrong, or others can reach a service without keys.
    """
    serving = Serving(settings, Callers(settings), opener)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        serving.start()
        tasks = [
            asyncio.create_task(work)
            for work in (
                _serve_bundles(serving, on_failure),
                _every(WATCHDOG_SECONDS, serving.answering.batcher.watch),
                _every(settings.watch_seconds, lambda: _look_at_keys(serving)),
            )
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await serving.stop()
        await asyncio.to_thread(serving.tracer.close)

    app = DescribedApi(
        title="Surematch",
        description=DESCRIPTION,
        version=RELEASE,
        lifespan=lifespan,
        openapi_url=None,
        telemetry=NO_TELEMETRY,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.max_queries = settings.max_queries
    app.needs_key = settings.keys_file is not None
    app.state.serving = serving
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(Observed, serving=serving, direct=DIRECT)
    for kind in ANSWERED_ERRORS:
        app.add_exception_handler(kind, answer_error)
    return app


async def _serve_bundles(serving: Serving, on_failure: Callable[[Exception], None] | None) -> None:
    """Open the first bundle, then follow ``CURRENT`` to others."""
    settings = serving.settings
    first = None
    try:
        await asyncio.to_thread(serving.open_changes)
    except ChangesError as error:  # to serve without them would bring deleted products back
        logger.error("changes not opened", extra={"reason": str(error)})  # noqa: TRY400  # no bug
        if on_failure is not None:
            on_failure(error)
        return
    if not settings.wait_for_bundle:  # else the watch opens it, as soon as it is there and whole
        try:
            first = await asyncio.to_thread(swap_target, None, settings)
            await serving.keeper.swap(first)
        except RefusedError as error:  # a service without a bundle must say so and end
            logger.error("bundle not opened", extra={"reason": str(error)})  # noqa: TRY400  # no bug
            if on_failure is not None:
                on_failure(error)
            return
    watcher = PointerWatcher(
        settings.bundle, serving.keeper.swap, watch_seconds=settings.watch_seconds, asked=first
    )
    serving.why_no_bundle = lambda: watcher.trouble
    await watcher.run()


def _look_at_keys(serving: Serving) -> None:
    generation = serving.generation
    serving.callers.look(None if generation is None else generation.manifest)


async def _every(seconds: float, look: Callable[[], None]) -> None:
    """Call ``look`` for ever; one that fails is logged, and called again."""
    while True:
        await asyncio.sleep(seconds)
        try:
            look()
        except Exception:  # a watch that ended unseen would watch nothing
            logger.exception("a watch failed")

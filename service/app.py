"""The app: routes, errors and metrics wired together, with the bundle opened behind them."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from service import docs, routes
from service.contract.errors import SurematchError
from service.contract.manifest import Manifest
from service.contract.release import RELEASE
from service.middleware import Observed
from service.openapi import DescribedApi
from service.problems import ProblemError, answer_error
from service.recommender import Recommender, open_recommender
from service.serving import OpenBundle, Serving
from service.settings import Settings
from service.worker import BusyError

DESCRIPTION = "Matches texts to products and says which matches a person must check."

BundleOpener = Callable[[Path], tuple[Recommender, Manifest]]

logger = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    *,
    on_failure: Callable[[Exception], None] | None = None,
    opener: BundleOpener = open_recommender,
) -> FastAPI:
    """Return the app; it opens its bundle once it runs, and answers 503 until then.

    Args:
        settings: where the bundle is, and the limits.
        on_failure: called with the reason if the bundle cannot be opened.
        opener: opens and checks the bundle, in a thread.
    """
    serving = Serving(settings=settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        serving.start()
        opening = asyncio.create_task(_open_bundle(serving, opener, on_failure))
        yield
        opening.cancel()
        serving.stop()

    app = DescribedApi(
        title="Surematch",
        description=DESCRIPTION,
        version=RELEASE,
        lifespan=lifespan,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.max_queries = settings.max_queries
    app.state.serving = serving
    app.include_router(routes.router)
    app.include_router(docs.router)
    app.add_middleware(Observed, metrics=serving.metrics)
    for kind in (ProblemError, BusyError, HTTPException):
        app.add_exception_handler(kind, answer_error)
    return app


async def _open_bundle(
    serving: Serving, opener: BundleOpener, on_failure: Callable[[Exception], None] | None
) -> None:
    started = time.perf_counter()
    folder = serving.settings.bundle
    try:
        recommender, manifest = await asyncio.to_thread(opener, folder)
    except Exception as error:  # whatever it is, a service without a bundle must say so and end
        facts = {"bundle": str(folder), "reason": str(error)}
        is_bug = not isinstance(error, SurematchError)
        logger.log(logging.ERROR, "bundle not opened", exc_info=is_bug, extra=facts)
        if on_failure is not None:
            on_failure(error)
        return
    serving.open(OpenBundle(recommender, manifest))
    facts = {
        "bundle_id": manifest.bundle_id,
        "products": manifest.catalogue.products,
        "threshold": manifest.threshold,
        "seconds": round(time.perf_counter() - started, 3),
    }
    logger.info("bundle opened", extra=facts)

"""Routes for operators with the scope ``admin``: which bundle answers, another one, and back."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from service.access.keys import Scope
from service.bodies import parse_swap_request
from service.calls import admit_program, begin_call, read_in_time
from service.live.outcomes import SwapOutcome, SwapStatus
from service.openapi import SWAP_BODY, documented
from service.opening import OpenBundle
from service.problems import Code
from service.serving import serving_of
from service.swap_target import swap_target

router = APIRouter(prefix="/admin")
_ERRORS = (Code.NO_KEY, Code.NOT_PERMITTED, Code.INTERNAL_ERROR)
_SWAP_ERRORS = (
    *_ERRORS,
    Code.NOT_JSON,
    Code.BODY_TOO_LARGE,
    Code.INVALID_REQUEST,
    Code.BUNDLE_REFUSED,
    Code.DEADLINE_EXCEEDED,
)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class BundleInMemory(_Record):
    """A bundle that answers, or could at once."""

    bundle_id: str
    folder: str
    created_at: str
    products: int

    @classmethod
    def of(cls, bundle: OpenBundle | None) -> "BundleInMemory | None":
        """Return what is told of an open bundle."""
        if bundle is None:
            return None
        manifest = bundle.manifest
        return cls(
            bundle_id=manifest.bundle_id,
            folder=str(bundle.folder),
            created_at=manifest.created_at,
            products=manifest.catalogue.products,
        )


class RefusedBundle(_Record):
    """A bundle that was not taken."""

    folder: str
    reason: str
    at: datetime


class Bundles(_Record):
    """The bundles of this process."""

    current: BundleInMemory | None
    previous: Annotated[
        BundleInMemory | None, Field(description="what a roll back brings back; null if none")
    ]
    last_refusal: RefusedBundle | None


class Swapped(_Record):
    """How a request for another bundle ended; the bundle that answers now is named."""

    status: Annotated[
        SwapStatus,
        Field(description="superseded: a request that came later was carried out instead"),
    ]
    bundle_id: str
    seconds: float

    @classmethod
    def of(cls, outcome: SwapOutcome) -> "Swapped":
        """Return what is told of an outcome."""
        seconds = round(outcome.seconds, 6)
        return cls(status=outcome.status, bundle_id=outcome.bundle_id, seconds=seconds)


@router.get("/bundle", responses=documented(*_ERRORS))
async def bundles(request: Request) -> Bundles:
    """Say which bundle answers, which one a roll back brings back, and which was refused."""
    serving = serving_of(request)
    admit_program(request, serving, Scope.ADMIN)
    keeper = serving.keeper
    refused = keeper.last_refusal
    return Bundles(
        current=BundleInMemory.of(keeper.current),
        previous=BundleInMemory.of(keeper.previous),
        last_refusal=None
        if refused is None
        else RefusedBundle(folder=str(refused.folder), reason=refused.reason, at=refused.at),
    )


@router.post("/bundle", openapi_extra=SWAP_BODY, responses=documented(*_SWAP_ERRORS))
async def swap(request: Request) -> Swapped:
    """Answer from another bundle once it is verified; until then, and if it fails, the old one."""
    serving = serving_of(request)
    admit_program(request, serving, Scope.ADMIN)
    call = begin_call(request, serving)
    body = await read_in_time(request, call, max_bytes=serving.settings.max_body_bytes)
    folder = swap_target(parse_swap_request(body).bundle, serving.settings)
    return Swapped.of(await serving.keeper.swap(folder))


@router.post("/rollback", responses=documented(*_ERRORS, Code.NO_PREVIOUS))
async def roll_back(request: Request) -> Swapped:
    """Answer from the previous bundle again, at once; it is still in memory."""
    serving = serving_of(request)
    admit_program(request, serving, Scope.ADMIN)
    outcome = await serving.keeper.roll_back()
    serving.metrics.count_swap("rolled_back", outcome.seconds)
    return Swapped.of(outcome)

"""``/products``: the catalogue changed while it is served, one product or many."""

import asyncio
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import Response

from service.access.keys import Scope
from service.batching.work import Lane
from service.bodies import check_shape, invalid_request, parse_body
from service.calls import admit_program, begin_call, read_in_time
from service.line_schemas import LINES_MEDIA_TYPE
from service.openapi import CHANGE_ERRORS, documented
from service.problems import Code, FieldError, ProblemError
from service.product_changes import Changing, problem_of_outcome
from service.product_lines import make_changes, read_lines
from service.product_openapi import LINES_BODY, LINES_RESPONSE, PRODUCT_BODY, PRODUCT_PATH
from service.product_schemas import (
    MAX_PRODUCT_BYTES,
    ChangedProduct,
    Product,
    ProductId,
    ServedProduct,
)
from service.products.change import WantedChange
from service.products.keeper import ProductKeeper
from service.products.outcomes import Operation, Outcome
from service.serving import Serving, serving_of


class _AnyText(Convertor[str]):
    """Any path, line feeds too: Starlette's own stops at one, and would take another product."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("text", _AnyText())
router = APIRouter()

OFF = (
    "this service keeps no changes of products; set SUREMATCH_CHANGES_FOLDER to a folder of its "
    "own on a disk that lasts"
)


class _Named(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    product_id: ProductId


@router.get(
    "/products/{product_id:text}",
    openapi_extra=PRODUCT_PATH,
    responses=documented(
        *(Code.NO_KEY, Code.NOT_PERMITTED, Code.UNKNOWN_PRODUCT, Code.CHANGES_OFF),
        *(Code.INVALID_REQUEST, Code.NOT_READY),
    ),
)
async def get_product(request: Request) -> ServedProduct:
    """Return a product as it is now: that of the bundle, or what was put in its place."""
    serving = serving_of(request)
    admit_program(request, serving, Scope.PRODUCTS)
    keeper = _keeper(serving)
    generation = serving.opened()
    product_id = _product_id(request)
    record = keeper.record(product_id)
    if record is None:
        raise ProblemError(Code.UNKNOWN_PRODUCT, "there is no product of this id")
    fields = generation.bundle.recommender.catalogue.fields
    return ServedProduct(
        product_id=product_id,
        title=record.title,
        fields={name: record.values.get(name) for name in fields},
        newer_than_calibration=keeper.is_newer(product_id),
        pending=keeper.is_pending(product_id),
        bundle_id=generation.manifest.bundle_id,
    )


@router.put(
    "/products/{product_id:text}",
    openapi_extra={**PRODUCT_PATH, **PRODUCT_BODY},
    responses=documented(
        *(*CHANGE_ERRORS, Code.NOT_JSON, Code.BODY_TOO_LARGE),
        *(Code.ENCODER_FAILED, Code.CHANGES_NOT_KEPT),
    ),
)
async def put_product(request: Request) -> ChangedProduct:
    """Add a product, or put it in the place of the one that has its id.

    When the answer comes, the disk has the change and every later answer knows the product.
    """
    changing = _begin(request)
    product_id = _product_id(request)
    most = min(MAX_PRODUCT_BYTES, changing.serving.settings.max_body_bytes)
    body = await read_in_time(request, changing.call, max_bytes=most)
    product = parse_body(Product, body)
    try:
        changing.check(product)
    except ProblemError:
        changing.serving.metrics.count_product_change(Operation.PUT, Outcome.INVALID)
        raise
    return await _made(changing, WantedChange(product_id, product.record))


@router.delete(
    "/products/{product_id:text}",
    openapi_extra=PRODUCT_PATH,
    responses=documented(*CHANGE_ERRORS, Code.UNKNOWN_PRODUCT, Code.CHANGES_NOT_KEPT),
)
async def delete_product(request: Request) -> ChangedProduct:
    """Delete a product: it is recommended no more, whichever bundle answers."""
    return await _made(_begin(request), WantedChange(_product_id(request), None))


@router.post(
    "/products",
    response_class=Response,
    openapi_extra=LINES_BODY,
    responses={200: LINES_RESPONSE, **documented(*CHANGE_ERRORS, Code.BODY_TOO_LARGE)},
)
async def change_products(request: Request) -> Response:
    """Make the change on each line; a bad line harms no other.

    Of lines that have one product the last good one is made, and the others are `superseded`.
    """
    changing = _begin(request)
    most = changing.serving.settings.max_stream_bytes
    body = await read_in_time(request, changing.call, max_bytes=most)
    lines = await asyncio.to_thread(read_lines, body, changing)
    request.state.queries = len(lines.wanted) + len(lines.failed)
    changing.pay(request.state.queries)
    content = await make_changes(lines, changing, request)
    return Response(content, media_type=LINES_MEDIA_TYPE)


def _begin(request: Request) -> Changing:
    """Return a request that may change products.

    Raises:
        ProblemError: if changes are not kept here, or no bundle is open yet.
    """
    serving = serving_of(request)
    caller = admit_program(request, serving, Scope.PRODUCTS)
    keeper = _keeper(serving)
    generation = serving.opened()
    call = begin_call(request, serving)
    call.lane = Lane.BULK
    serving.refuse_if_full(Lane.BULK)
    return Changing(serving, caller, keeper, generation, call)


def _keeper(serving: Serving) -> ProductKeeper:
    if serving.settings.changes_folder is None:
        raise ProblemError(Code.CHANGES_OFF, OFF)
    serving.opened()
    if serving.products is None:
        raise ProblemError(Code.CHANGES_OFF, OFF)
    return serving.products


def _product_id(request: Request) -> str:
    """Return the id in the path, slashes and all.

    Raises:
        ProblemError: 422 if it is none.
    """
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    try:
        unquote_to_bytes(path.partition(b"?")[0]).decode()
    except UnicodeDecodeError:
        what = "must be UTF-8, percent-encoded"
        raise invalid_request([FieldError(where="product_id", what=what)]) from None
    return check_shape(_Named, {"product_id": request.path_params["product_id"]}).product_id


async def _made(changing: Changing, wanted: WantedChange) -> ChangedProduct:
    """Return what became of one change.

    Raises:
        ProblemError: if it was not made.
    """
    changing.pay(1)
    (outcome,) = await changing.make([wanted])
    if (problem := problem_of_outcome(outcome)) is not None:
        raise problem
    bundle_id = changing.generation.manifest.bundle_id
    return ChangedProduct(product_id=wanted.product_id, outcome=outcome, bundle_id=bundle_id)

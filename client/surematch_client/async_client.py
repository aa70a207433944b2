"""The asynchronous client, for asyncio; as the synchronous one, with ``await``."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar

import httpx

from surematch_client import calls, products
from surematch_client.connection import LIMITS, checked_in_flight, checked_url, headers_for
from surematch_client.errors import NOT_NOW
from surematch_client.exchange import DEFAULT_TIMING, Done, Exchange, Terms, Timing
from surematch_client.failures import Answer
from surematch_client.models import (
    EmbedResponse,
    Info,
    Query,
    RecommendResponse,
    Result,
    SwapResponse,
)
from surematch_client.products import (
    DeleteProduct,
    ProductChange,
    PutProduct,
    ServedProduct,
)
from surematch_client.retries import DEFAULT_RETRIES, Retries

T = TypeVar("T")


class AsyncClient:
    """Asks a Surematch service from an event loop; see `Client` for arguments and errors."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_seconds: float = 30.0,
        retries: Retries = DEFAULT_RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        self._terms = Terms(timeout_seconds, retries, timing)
        self._http = httpx.AsyncClient(
            base_url=checked_url(base_url),
            headers=headers_for(api_key),
            limits=LIMITS,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._http.base_url!r})"

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def recommend(
        self,
        queries: Sequence[str | Query],
        *,
        k: int = 5,
        fields: Sequence[str] | None = None,
        filter: calls.Filter | None = None,  # noqa: A002  # its name in the interface
        deadline_seconds: float | None = None,
    ) -> RecommendResponse:
        """Return one result a query, in their order; see `Client.recommend`."""
        call = calls.recommend_call(queries, k=k, fields=fields, wanted=filter)
        return await self._ask(call, deadline_seconds=deadline_seconds)

    def recommend_many(
        self,
        queries: Iterable[str | Query],
        *,
        batch: int = 32,
        in_flight: int = 4,
        k: int = 5,
        fields: Sequence[str] | None = None,
        filter: calls.Filter | None = None,  # noqa: A002  # its name in the interface
    ) -> AsyncGenerator[Result, None]:
        """Return the results of any number of queries, in their order, as they come.

        As `Client.recommend_many`, with tasks for threads; closing the generator cancels them.
        """
        bodies = calls.recommend_calls(queries, batch=batch, k=k, fields=fields, wanted=filter)
        return self._in_order(bodies, checked_in_flight(in_flight))

    async def embed(self, texts: Sequence[str]) -> EmbedResponse:
        """Return the vector of each text, in their order."""
        return await self._ask(calls.embed_call(texts))

    async def put_product(
        self, product_id: str, title: str, fields: Mapping[str, str | None] | None = None
    ) -> ProductChange:
        """Return what became of a product, as it shall be from now on.

        It is on the service's disk then, and found by the next query. A field that is not named has
        no value.
        """
        return await self._ask(products.put_call(PutProduct(product_id, title, fields or {})))

    async def delete_product(self, product_id: str) -> ProductChange:
        """Delete a product; one that is not there is an `ApiError` with the status 404."""
        return await self._ask(products.delete_call(product_id))

    async def get_product(self, product_id: str) -> ServedProduct:
        """Return a product as it is now; one that is not there is an `ApiError` of status 404."""
        return await self._ask(products.get_call(product_id))

    async def change_products(
        self, changes: Sequence[PutProduct | DeleteProduct]
    ) -> list[ProductChange]:
        """Return what became of each change, in their order; one that fails harms no other."""
        return await self._ask(products.change_call(changes))

    async def info(self) -> Info:
        """Return which bundle answers, what it promises and what may be asked of it."""
        return await self._ask(calls.info_call())

    async def is_ready(self) -> bool:
        """Return whether the service can answer now; see `Client.is_ready`."""
        try:
            await self._ask(calls.ready_call())
        except NOT_NOW:
            return False
        return True

    async def swap_bundle(self, name: str | None = None) -> SwapResponse:
        """Let another bundle answer; see `Client.swap_bundle`."""
        return await self._ask(calls.swap_call(name))

    async def roll_back(self) -> SwapResponse:
        """Let the bundle before this one answer again."""
        return await self._ask(calls.roll_back_call())

    async def _in_order(
        self, bodies: Iterator[calls.Call[RecommendResponse]], in_flight: int
    ) -> AsyncGenerator[Result, None]:
        under_way: deque[asyncio.Task[RecommendResponse]] = deque()
        try:
            for call in bodies:
                under_way.append(asyncio.create_task(self._ask(call)))
                if len(under_way) == in_flight:
                    for result in (await under_way.popleft()).results:
                        yield result
            while under_way:
                for result in (await under_way.popleft()).results:
                    yield result
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _ask(self, call: calls.Call[T], *, deadline_seconds: float | None = None) -> T:
        exchange = Exchange(call, self._terms, deadline_seconds=deadline_seconds)
        while True:
            step = exchange.judge(await self._send(exchange))
            if isinstance(step, Done):
                return step.value
            await self._terms.timing.sleep(step.seconds)

    async def _send(self, exchange: Exchange[T]) -> Answer | httpx.RequestError:
        try:
            request = exchange.next_request(self._http)
            async with aclosing(await self._http.send(request, stream=True)) as response:
                body = b"".join([exchange.in_time(part) async for part in response.aiter_bytes()])
        except httpx.RequestError as error:
            return error
        return Answer(response.status_code, response.headers, body)

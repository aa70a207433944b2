"""The synchronous client."""

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import closing
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


class Client:
    """Asks a Surematch service; threads may share one, and its connections.

    Every method raises a child of `SurematchClientError`; see `surematch_client.errors`.

    Args:
        base_url: address of the service, for example ``http://127.0.0.1:8000``.
        api_key: sent with every request; None sends none.
        timeout_seconds: most time for one attempt; retries are on top.
        retries: how often a call is made, and how long to wait in between.
        transport: sends requests by other means than a socket.
        timing: clocks and pauses, for tests.

    Raises:
        ValueError: if one of these is out of its range.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_seconds: float = 30.0,
        retries: Retries = DEFAULT_RETRIES,
        transport: httpx.BaseTransport | None = None,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        self._terms = Terms(timeout_seconds, retries, timing)
        self._http = httpx.Client(
            base_url=checked_url(base_url),
            headers=headers_for(api_key),
            limits=LIMITS,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._http.base_url!r})"

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def recommend(
        self,
        queries: Sequence[str | Query],
        *,
        k: int = 5,
        fields: Sequence[str] | None = None,
        filter: calls.Filter | None = None,  # noqa: A002  # its name in the interface
        deadline_seconds: float | None = None,
    ) -> RecommendResponse:
        """Return one result a query, in their order.

        Args:
            queries: at most as many as ``info().limits.queries``.
            k: most recommendations of a query, from 1 to 100.
            fields: names of product fields to return.
            filter: fields that a product must have, each with this value or one of these; a
                category admits those below it as well.
            deadline_seconds: for the call with all its retries; the service is told what is left.
        """
        call = calls.recommend_call(queries, k=k, fields=fields, wanted=filter)
        return self._ask(call, deadline_seconds=deadline_seconds)

    def recommend_many(
        self,
        queries: Iterable[str | Query],
        *,
        batch: int = 32,
        in_flight: int = 4,
        k: int = 5,
        fields: Sequence[str] | None = None,
        filter: calls.Filter | None = None,  # noqa: A002  # its name in the interface
    ) -> Generator[Result, None, None]:
        """Return the results of any number of queries, in their order, as they come.

        Queries are read as they are needed: ``batch`` times ``in_flight`` of them are in memory.
        The first call that fails ends it; closing the generator waits for what is on its way.

        Args:
            queries: read by the thread that takes the results.
            batch: queries of one call.
            in_flight: calls under way at the same time, each in a thread.
            k: most recommendations of a query, from 1 to 100.
            fields: names of product fields to return.
            filter: fields that a product must have, each with this value or one of these; a
                category admits those below it as well.
        """
        bodies = calls.recommend_calls(queries, batch=batch, k=k, fields=fields, wanted=filter)
        return self._in_order(bodies, checked_in_flight(in_flight))

    def embed(self, texts: Sequence[str]) -> EmbedResponse:
        """Return the vector of each text, in their order."""
        return self._ask(calls.embed_call(texts))

    def put_product(
        self, product_id: str, title: str, fields: Mapping[str, str | None] | None = None
    ) -> ProductChange:
        """Return what became of a product, as it shall be from now on.

        It is on the service's disk then, and found by the next query. A field that is not named has
        no value.
        """
        return self._ask(products.put_call(PutProduct(product_id, title, fields or {})))

    def delete_product(self, product_id: str) -> ProductChange:
        """Delete a product; one that is not there is an `ApiError` with the status 404."""
        return self._ask(products.delete_call(product_id))

    def get_product(self, product_id: str) -> ServedProduct:
        """Return a product as it is now; one that is not there is an `ApiError` of status 404."""
        return self._ask(products.get_call(product_id))

    def change_products(self, changes: Sequence[PutProduct | DeleteProduct]) -> list[ProductChange]:
        """Return what became of each change, in their order; one that fails harms no other."""
        return self._ask(products.change_call(changes))

    def info(self) -> Info:
        """Return which bundle answers, what it promises and what may be asked of it."""
        return self._ask(calls.info_call())

    def is_ready(self) -> bool:
        """Return whether the service can answer now; it is asked once.

        Raises:
            ApiError: if the address leads elsewhere (4xx), which no waiting will change.
        """
        try:
            self._ask(calls.ready_call())
        except NOT_NOW:
            return False
        return True

    def swap_bundle(self, name: str | None = None) -> SwapResponse:
        """Let another bundle answer: the named one, or without a name the one that is current.

        It takes longer than other calls and is granted five minutes at least.
        """
        return self._ask(calls.swap_call(name))

    def roll_back(self) -> SwapResponse:
        """Let the bundle before this one answer again."""
        return self._ask(calls.roll_back_call())

    def _in_order(
        self, bodies: Iterator[calls.Call[RecommendResponse]], in_flight: int
    ) -> Generator[Result, None, None]:
        under_way: deque[Future[RecommendResponse]] = deque()
        stop = threading.Event()
        with ThreadPoolExecutor(in_flight, "surematch-client") as threads:
            try:
                for call in bodies:
                    under_way.append(threads.submit(self._ask, call, stop=stop))
                    if len(under_way) == in_flight:
                        yield from under_way.popleft().result().results
                while under_way:
                    yield from under_way.popleft().result().results
            finally:
                stop.set()
                threads.shutdown(wait=False, cancel_futures=True)

    def _ask(
        self,
        call: calls.Call[T],
        *,
        deadline_seconds: float | None = None,
        stop: threading.Event | None = None,
    ) -> T:
        exchange = Exchange(call, self._terms, deadline_seconds=deadline_seconds)
        stop = stop or threading.Event()
        while True:
            step = exchange.judge(self._send(exchange))
            if isinstance(step, Done):
                return step.value
            if self._terms.timing.wait(stop, step.seconds):
                raise CancelledError

    def _send(self, exchange: Exchange[T]) -> Answer | httpx.RequestError:
        try:
            request = exchange.next_request(self._http)
            with closing(self._http.send(request, stream=True)) as response:
                body = b"".join(map(exchange.in_time, response.iter_bytes()))
        except httpx.RequestError as error:
            return error
        return Answer(response.status_code, response.headers, body)

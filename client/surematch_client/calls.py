"""What can be asked of the service: the request of each call, and how its answer is read."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import Generic, Literal, TypeVar

from surematch_client import answers
from surematch_client.json_object import parse_json
from surematch_client.models import EmbedResponse, Info, Query, RecommendResponse, SwapResponse
from surematch_client.retries import Repeat

T = TypeVar("T")

Filter = Mapping[str, str | Sequence[str]]
"""Fields that a product must have, each with this value or one of these."""
SWAP_SECONDS = 300.0
"""A bundle is read, warmed up and examined before it answers."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One thing to ask.

    Attributes:
        read: makes a value of the JSON that answers it.
        repeat: when it may be asked again.
        least_seconds: what one attempt is granted, however little the client grants.
        media_type: of the content.
        parse: makes JSON values of the bytes that answer it.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    read: Callable[[object], T]
    content: bytes | None = None
    repeat: Repeat = Repeat.ALWAYS
    least_seconds: float = 0.0
    media_type: str = "application/json"
    parse: Callable[[bytes], object] = parse_json

    @property
    def headers(self) -> Mapping[str, str]:
        """What to say of the content."""
        return {} if self.content is None else {"Content-Type": self.media_type}


def recommend_call(
    queries: Iterable[str | Query],
    *,
    k: int,
    fields: Sequence[str] | None,
    wanted: Filter | None = None,
) -> Call[RecommendResponse]:
    """Return the call that matches ``queries`` to products.

    Raises:
        TypeError: if one of them is neither a string nor a `Query`, or all are one string.
    """
    asked = [_query_of(each, at) for at, each in enumerate(_not_one_text("queries", queries))]
    body: dict[str, object] = {"queries": list(map(_fields_of, asked))}
    body["k"] = k
    if fields is not None:
        body["fields"] = list(_not_one_text("fields", fields))
    if wanted is not None:
        body["filter"] = {
            name: value if isinstance(value, str) else list(value) for name, value in wanted.items()
        }
    read = partial(answers.recommend_response_of, asked=asked)
    return Call("POST", "/recommend", read, _json(body))


def recommend_calls(
    queries: Iterable[str | Query],
    *,
    batch: int,
    k: int,
    fields: Sequence[str] | None,
    wanted: Filter | None = None,
) -> Iterator[Call[RecommendResponse]]:
    """Return the calls for ``queries``, ``batch`` in each; they are read as calls are taken.

    Raises:
        TypeError: if the queries are one string.
        ValueError: if a call would hold none.
    """
    if batch < 1:
        message = f"batch is {batch}, needed is 1 or more"
        raise ValueError(message)
    remaining = iter(_not_one_text("queries", queries))
    batches = iter(lambda: list(islice(remaining, batch)), [])
    return (recommend_call(some, k=k, fields=fields, wanted=wanted) for some in batches)


def embed_call(texts: Iterable[str]) -> Call[EmbedResponse]:
    """Return the call for the vectors of ``texts``.

    Raises:
        TypeError: if they are one string.
    """
    asked = list(_not_one_text("texts", texts))
    read = partial(answers.embed_response_of, texts=len(asked))
    return Call("POST", "/embed", read, _json({"texts": asked}))


def info_call() -> Call[Info]:
    """Return the call that asks what answers now."""
    return Call("GET", "/info", answers.info_of)


def ready_call() -> Call[str]:
    """Return the call that asks, once, whether the service can answer."""
    return Call("GET", "/readyz", answers.ready_of, repeat=Repeat.NEVER)


def swap_call(name: str | None) -> Call[SwapResponse]:
    """Return the call for another bundle: the named one, or the one that is now current."""
    return _admin_call("/admin/bundle", {} if name is None else {"bundle": name})


def roll_back_call() -> Call[SwapResponse]:
    """Return the call for the bundle before this one."""
    return _admin_call("/admin/rollback", {})


def _admin_call(path: str, body: object) -> Call[SwapResponse]:
    read, content = answers.swap_response_of, _json(body)
    return Call("POST", path, read, content, Repeat.UNLESS_TAKEN, SWAP_SECONDS)


def _query_of(value: object, position: int) -> Query:
    if isinstance(value, str):
        return Query(value)
    if isinstance(value, Query):
        return value
    message = f"queries[{position}] is of {type(value).__name__}, needed is str or Query"
    raise TypeError(message)


def _fields_of(query: Query) -> dict[str, object]:
    fields: dict[str, object] = {"id": query.id, "text": query.text}
    if query.identifiers is not None:  # a service of an earlier release refuses the key
        fields["identifiers"] = asdict(query.identifiers)
    return fields


def _not_one_text(name: str, values: Iterable[T]) -> Iterable[T]:
    """Refuse a text where texts are wanted: it would be taken letter by letter."""
    if isinstance(values, str | bytes):
        message = f"{name} is one {type(values).__name__}, needed is a sequence; put it in a list"
        raise TypeError(message)
    return values


def _json(body: object) -> bytes:
    # escaped, since a text may hold half a surrogate pair, for which UTF-8 has no bytes
    return json.dumps(body, separators=(",", ":")).encode("ascii")

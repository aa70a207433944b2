"""How both clients reach the service: its address, the key, the pool of connections."""

import httpx

from surematch_client.release import RELEASE

LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=3.0)
"""An idle connection is dropped before a server does so, commonly after 5 s, amid a request."""


def checked_url(base_url: str) -> httpx.URL:
    """Return the address of the service; a path in it goes before every path.

    Raises:
        ValueError: if it is not an absolute http or https URL.
    """
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        message = f"base_url cannot be read: {error}; needed is one like http://127.0.0.1:8000"
        raise ValueError(message) from None
    if url.scheme not in {"http", "https"} or not url.host or url.query or url.fragment:
        message = f"base_url is {url!r}, needed is http:// or https:// with a host and no query"
        raise ValueError(message)
    return url


def headers_for(api_key: str | None) -> dict[str, str]:
    """Return the headers of every request.

    Raises:
        ValueError: if the key cannot stand in a header; it is not repeated.
    """
    headers = {
        "Accept": "application/json, application/problem+json",
        "User-Agent": f"surematch-client/{RELEASE}",
    }
    if api_key is None:
        return headers
    if not (api_key.isascii() and api_key.isprintable() and api_key and " " not in api_key):
        message = "api_key is empty or holds a space, a line end or a letter beyond ASCII"
        raise ValueError(message)
    return headers | {"Authorization": f"Bearer {api_key}"}


def checked_in_flight(in_flight: int) -> int:
    """Return how many calls may be under way at a time.

    Raises:
        ValueError: if it is none.
    """
    if in_flight < 1:
        message = f"in_flight is {in_flight}, needed is 1 or more"
        raise ValueError(message)
    return in_flight

"""A client that changes products of a service in this process."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.client import Client, asking


class Catalogue:
    """Asks a service for products, and changes them."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def put(self, product_id: str, title: str, **values: object) -> httpx.Response:
        body = {"title": title, **values}
        return self.client.request("PUT", path_of(product_id), json=body)

    def delete(self, product_id: str) -> httpx.Response:
        return self.client.request("DELETE", path_of(product_id))

    def get(self, product_id: str) -> httpx.Response:
        return self.client.get(path_of(product_id))

    def lines(self, *lines: object) -> list[dict[str, Any]]:
        content = b"\n".join(
            line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
        )
        response = self.client.request("POST", "/products", content=content)
        assert response.status_code == 200, response.text
        return [json.loads(line) for line in response.text.splitlines()]

    def result(self, text: str, k: int = 5) -> dict[str, Any]:
        response = self.client.recommend({"queries": [text], "k": k, "fields": ["brand"]})
        assert response.status_code == 200, response.text
        return response.json()["results"][0]

    def found(self, text: str, k: int = 100) -> list[str]:
        """Return the ids of the products that a text gets, best first."""
        return [one["product_id"] for one in self.result(text, k)["recommendations"]]


def path_of(product_id: str) -> str:
    return f"/products/{quote(product_id, safe='')}"


def outcomes(lines: Sequence[dict[str, Any]]) -> list[str]:
    return [line["outcome"] for line in lines]


@contextmanager
def changing(bundle: Path, changes: Path, **settings: Any) -> Generator[Catalogue]:
    """Yield a client of a service that keeps its changes in ``changes``."""
    with asking(bundle, changes_folder=changes, **settings) as client:
        yield Catalogue(client)

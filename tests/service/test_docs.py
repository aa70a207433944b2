import re
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.client import Client, asking

REFERENCE = re.compile(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""")


@pytest.fixture(scope="module")
def client(tiny_bundle: Path) -> Generator[Client]:
    with asking(tiny_bundle) as client:
        yield client


def test_the_page_needs_nothing_that_this_service_does_not_serve(client: Client) -> None:
    page = client.get("/docs")

    references = REFERENCE.findall(page.text)

    assert page.headers["content-type"].startswith("text/html")
    assert len(references) == 4
    assert "//" not in "".join(references)
    for reference in references:
        assert client.get(urljoin("/docs", reference)).status_code == 200
    assert '"validatorUrl": null' in page.text


def test_the_page_works_below_a_prefix_that_a_proxy_takes_off(client: Client) -> None:
    references = REFERENCE.findall(client.get("/docs").text)

    found = {urljoin("http://host/prefix/docs", reference) for reference in references}

    assert all(url.startswith("http://host/prefix/") for url in found)


@pytest.mark.parametrize(
    ("file", "kind", "start"),
    [
        ("swagger-ui-bundle.js", "javascript", b"/*! For license information"),
        ("swagger-ui.css", "text/css", b".swagger-ui"),
        ("favicon-32x32.png", "image/png", b"\x89PNG"),
    ],
)
def test_a_file_is_what_its_name_says(client: Client, file: str, kind: str, start: bytes) -> None:
    response = client.get(f"/docs/{file}")

    assert kind in response.headers["content-type"]
    assert start in response.content[:200]


@pytest.mark.parametrize("file", ["__init__.py", "..%2Fmain.py", "%2Fetc%2Fpasswd", "swagger-ui"])
def test_no_other_file_is_served(client: Client, file: str) -> None:
    assert client.get(f"/docs/{file}").status_code == 404

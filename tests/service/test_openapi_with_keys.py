"""The whole description with every check, of a service that needs keys."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from service.app import create_app
from service.metrics import ROUTES
from service.settings import Settings
from tests.described import call_and_check, once_ready
from tests.key_files import entry, secret_of, write_keys
from tests.tiny import write_bundle

ROOT = Path(tempfile.mkdtemp(prefix="surematch-"))
FOLDER = write_bundle(ROOT / "tiny").folder
KEYS = write_keys(ROOT / "keys.toml", entry("all", ("recommend", "review", "admin", "products")))
app = create_app(Settings(bundle=FOLDER, max_queries=20, keys_file=KEYS))
NEED_NO_KEY = {"/livez", "/readyz", "/metrics"}

# loaded when this module is, since the tests below are made from it
schema = schemathesis.openapi.from_asgi("/openapi.json", once_ready(app))


@schema.parametrize()  # pyright: ignore[reportUntypedFunctionDecorator]  # schemathesis has no type
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_with_a_key_the_service_keeps_what_its_description_says(
    case: schemathesis.Case[Any],
) -> None:
    """Among other things: without the key, or with another one, the same request is refused."""
    call_and_check(case, key=secret_of("all"))


def test_every_route_is_described_and_says_whether_it_needs_a_key() -> None:
    paths = app.openapi()["paths"]

    described = {(method.upper(), path) for path in paths for method in paths[path]}
    served = {
        (method, path) for method, path in ROUTES if not path.startswith(("/docs", "/openapi"))
    }
    assert described == served - {("GET", "unmatched")}
    for path, operations in paths.items():
        for operation in operations.values():
            wanted = None if path in NEED_NO_KEY else [{"bearer": []}, {"header": []}]
            assert operation.get("security") == wanted


@pytest.mark.parametrize("keys", [None, KEYS])
def test_a_service_without_keys_does_not_ask_for_them(keys: Path | None) -> None:
    described = create_app(Settings(bundle=FOLDER, keys_file=keys)).openapi()

    assert ("securitySchemes" in described["components"]) == (keys is not None)

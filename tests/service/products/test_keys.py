"""Who may change products, and how fast."""

from pathlib import Path

from tests.client import asking
from tests.key_files import entry, secret_of, write_keys


def test_a_key_needs_the_scope_and_pays_for_each_change(tiny_bundle: Path, tmp_path: Path) -> None:
    keys = write_keys(
        tmp_path / "keys.toml",
        entry("asks"),
        entry("changes", ("products",), queries_per_second=0.001, burst=3),
    )
    with asking(tiny_bundle, keys_file=keys, changes_folder=tmp_path / "changes") as client:

        def put(name: str | None, path: str = "/products/new", lines: int = 0) -> int:
            headers = {} if name is None else {"X-API-Key": secret_of(name)}
            line = b'{"op": "delete", "product_id": "nobody"}\n'
            method, content = ("POST", line * lines) if lines else ("PUT", b'{"title": "Nikon"}')
            return client.request(method, path, content=content, headers=headers).status_code

        assert [put(None), put("asks"), put("asks", "/products", 1)] == [401, 403, 403]
        assert [put("changes"), put("changes", "/products", 2)] == [200, 200]
        assert [put("changes"), put("changes", "/products", 1)] == [429, 429]
        assert (
            client.get("/products/new", headers={"X-API-Key": secret_of("changes")}).json()["title"]
            == "Nikon"
        )

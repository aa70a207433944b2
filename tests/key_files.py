"""Keys files for tests, and requests with their keys."""

import os
from collections.abc import Sequence
from pathlib import Path

from service.access.keys import digest_of, read_api_key
from service.access.keys_file import entry_of


def secret_of(name: str) -> str:
    """Return the key of a name; never guessable, in a test."""
    return f"sm_{name}_secret_of_the_tests"


def entry(name: str, scopes: Sequence[str] = ("recommend",), **settings: object) -> str:
    """Return an entry of a keys file."""
    fields = {"name": name, "sha256": digest_of(secret_of(name)), "scopes": list(scopes)}
    return entry_of(read_api_key({**fields, **settings}, source="a test"))


def write_keys(path: Path, *entries: str) -> Path:
    """Put a keys file in place by one rename, as an operator should; return its path."""
    new = path.with_suffix(".new")
    new.write_text("\n".join(entries) or "key = []", encoding="utf-8")
    os.replace(new, path)  # noqa: PTH105  # its name is the point
    return path


def with_key(name: str) -> tuple[tuple[str, str], ...]:
    """Return the header field of a key."""
    return (("Authorization", f"Bearer {secret_of(name)}"),)

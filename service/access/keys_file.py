"""The keys file: TOML with one ``[[key]]`` table for each key; read, and grown by an entry."""

import fcntl
import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from service.access.keys import ApiKey, KeyRing, Scope, read_api_key, shown_setting
from service.contract.errors import ConfigError

OWNER_ONLY = 0o600


def parse_keys(content: bytes, *, source: str) -> KeyRing:
    """Return the keys of a keys file; ``key = []`` says that nobody has one.

    Raises:
        ConfigError: if it is not TOML, a value is wrong, or a name or a hash stands there twice;
            the message repeats neither keys nor hashes.
    """
    entries = _entries(_document(content, source), source)
    keys = [
        read_api_key(entry, source=f"{source}: [[key]] number {number}")
        for number, entry in enumerate(entries, start=1)
    ]
    _refuse_repeats(keys, source)
    return KeyRing(tuple(keys))


def entry_of(key: ApiKey) -> str:
    """Return the lines that stand for a key in a keys file."""
    values = {
        "name": json.dumps(key.name),  # printable ASCII: a JSON string is a TOML string
        "sha256": json.dumps(key.sha256),
        "scopes": json.dumps([scope for scope in Scope if scope in key.scopes]),
        "target_precision": key.target_precision,
        "queries_per_second": key.queries_per_second,
        "burst": key.burst,
        "expires": key.expires and key.expires.isoformat(),
    }
    lines = [f"{name} = {value}" for name, value in values.items() if value is not None]
    return "\n".join(["[[key]]", *lines, ""])


def append_key(path: Path, key: ApiKey) -> None:
    """Add a key to a keys file, which is made for its owner alone if it is not there.

    The entry is added in place, so owner, mode, links and mounts of the file stay what they are.
    The whole is checked first, and is on the disk when this returns.

    Raises:
        ConfigError: if the file is wrong, has a key of that name, or cannot be written; it is
            then as it was before.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, OWNER_ONLY)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two that append at once take turns
            present = file.readall()
            _write_whole(descriptor, _addition(present, key, path), size=len(present))
        _flush_folder(path.parent)
    except OSError as error:
        message = f"{path} cannot be written ({error.strerror}); name a file that can be"
        raise ConfigError(message) from error


def _addition(present: bytes, key: ApiKey, path: Path) -> bytes:
    """Return what must be put behind ``present``, which is then a keys file with that key."""
    entry = entry_of(key).encode()
    if not present.strip():
        return entry
    if any(other.name == key.name for other in parse_keys(present, source=str(path)).keys):
        message = f"{path} has a key named {key.name}; choose another name, such as {key.name}-2"
        raise ConfigError(message)
    addition = (b"\n" if present.endswith(b"\n") else b"\n\n") + entry
    parse_keys(present + addition, source=f"{path} with the new entry")
    return addition


def _write_whole(descriptor: int, data: bytes, *, size: int) -> None:
    """Append ``data`` to a file of ``size`` bytes; all of it, or nothing where it has no room."""
    try:
        rest = data
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _document(content: bytes, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        # Only the place: what is found there may be a part of a hash, or of a misplaced key.
        place = re.search(r"\((at [a-z0-9, ]+)\)$", str(error))
        where = f" ({place[1]})" if place else ""
        message = f"{source} is not TOML in UTF-8{where}; write one [[key]] table for each key"
        raise ConfigError(message) from None


def _entries(document: dict[str, Any], source: str) -> list[dict[str, Any]]:
    unknown = sorted(document.keys() - {"key"})
    if unknown:
        message = f"{source}: {shown_setting(unknown[0])} is unknown; write [[key]] tables only"
        raise ConfigError(message)
    entries = document.get("key")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        message = (
            f"{source} has no [[key]] table; write one for each key "
            "(`python -m service.new_key` does), or `key = []` to keep everybody out"
        )
        raise ConfigError(message)
    return entries


def _refuse_repeats(keys: list[ApiKey], source: str) -> None:
    names: set[str] = set()
    name_of: dict[str, str] = {}
    for key in keys:
        if key.name in names:
            message = f"{source}: two keys are named {key.name}; give each a name of its own"
            raise ConfigError(message)
        if key.sha256 in name_of:
            twins = f"{name_of[key.sha256]} and {key.name}"
            message = f"{source}: {twins} have the same sha256; make a key for each of them"
            raise ConfigError(message)
        names.add(key.name)
        name_of[key.sha256] = key.name

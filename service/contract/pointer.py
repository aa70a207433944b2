"""The pointer beside several bundles: which of them is served, changed by one rename."""

import os
import tempfile
from pathlib import Path

from service.contract.bundle import MANIFEST
from service.contract.errors import BundleCorruptError, BundleError

CURRENT = "CURRENT"
"""Name of the file; it holds one line, the name of a bundle in the same folder."""
LONGEST_NAME = 255
"""Bytes of a file name on common file systems."""


def resolve_bundle(path: Path) -> Path:
    """Return the bundle that ``path`` stands for; nothing of the bundle itself is read.

    Args:
        path: a bundle, or a folder of bundles with a file ``CURRENT``.

    Raises:
        BundleCorruptError: if it is neither, or ``CURRENT`` does not hold a bundle's name.
    """
    pointer = path / CURRENT
    try:
        if (path / MANIFEST).is_file():
            return path
        return named_bundle(path, _one_line(pointer.read_bytes()))
    except FileNotFoundError as error:
        message = (
            f"no bundle in {path}: it has neither a {MANIFEST} nor a {CURRENT}; "
            "name a folder that `python -m export build` wrote"
        )
        raise BundleCorruptError(message) from error
    except (OSError, UnicodeDecodeError, BundleError) as error:
        message = f"{pointer} cannot be followed ({error}); write the name of a bundle into it"
        raise BundleCorruptError(message) from error


def named_bundle(root: Path, name: str) -> Path:
    """Return the path of the bundle ``name`` in ``root``, whether it is there or not.

    Raises:
        BundleError: if that is no name of a folder right inside ``root``.
    """
    if not _is_plain(name):
        message = (
            f"{name[:LONGEST_NAME]!r} is no name of a bundle; "
            f"give the bare name of a folder in {root}"
        )
        raise BundleError(message)
    return root / name


def publish(root: Path, name: str) -> None:
    """Make `resolve_bundle` return the bundle ``name`` from now on, even after a power cut.

    A reader sees the old name or the new one, never none. A writer that is killed leaves at
    most a hidden file of a few bytes behind.

    Raises:
        BundleError: if there is no such bundle in ``root``, or ``root`` cannot be written.
    """
    folder = named_bundle(root, name)
    if not (folder / MANIFEST).is_file():
        message = (
            f"{folder} has no {MANIFEST}; publish a bundle that `python -m export build` wrote"
        )
        raise BundleError(message)
    try:
        _replace(root / CURRENT, f"{name}\n".encode())
    except OSError as error:
        message = f"{root / CURRENT} cannot be written ({error.strerror}); make {root} writable"
        raise BundleError(message) from error


def _one_line(content: bytes) -> str:
    return content.decode("utf-8").removesuffix("\n").removesuffix("\r")


def _is_plain(name: str) -> bool:
    is_hidden = name.startswith(".")  # as are `..`, and a bundle that is still being built
    is_one_part = name.isprintable() and "/" not in name and "\\" not in name
    return 0 < len(name.encode(errors="replace")) <= LONGEST_NAME and is_one_part and not is_hidden


def _replace(path: Path, content: bytes) -> None:
    """Write a file by one rename, and wait until the disk has it."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o644)  # mkstemp made it private; others must read it
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

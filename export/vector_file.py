"""A file of vectors, written block by block, that an interrupted build goes on with.

Beside the vectors lies a file of notes: one line that says whose vectors they are, then one for
each block that is on the disk, with its checksum. A block counts once its note is complete.
"""

import json
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

VECTORS = "vectors.f32"
NOTES = "vectors.jsonl"
_FORMAT = 1
_BYTES_A_NUMBER = 4


class VectorFile:
    """One float32 vector a row, filled from the first row on; closed at the end of a ``with``.

    The rows are in a file, not in memory, and the room for all of them is taken when it is made,
    so that a disk that is too small is noticed before the work and not after it.

    Args:
        folder: where the files are, or will be.
        key: says what the vectors are made of; a file with another key is not gone on with.
        rows: how many vectors there will be.
        dim: numbers of a vector.

    Attributes:
        done: how many rows are on the disk.
        is_leftover_discarded: true if there was a file here that could not be gone on with.

    Raises:
        OSError: if there is no room, or the files cannot be written.
    """

    def __init__(self, folder: Path, *, key: str, rows: int, dim: int) -> None:
        self._path, self._shape = folder / VECTORS, (rows, dim)
        head = _line({"format": _FORMAT, "key": key, "rows": rows, "dim": dim})
        notes = folder / NOTES
        found = notes.read_bytes() if notes.is_file() else b""
        kept = self._whole_blocks(found, head)
        self.is_leftover_discarded = kept is None and bool(found)
        self.done = json.loads(kept[-1])["until"] if kept else 0
        if kept is None:
            notes.unlink(missing_ok=True)  # before the vectors that it tells of
            self._make()
        self._vectors = os.open(self._path, os.O_RDWR)
        self._notes = os.open(notes, os.O_RDWR | os.O_CREAT, 0o644)
        self._noted = 0 if kept is None else len(head) + sum(map(len, kept))
        os.ftruncate(self._notes, self._noted)
        if kept is None:
            self._note(head)

    def __enter__(self) -> "VectorFile":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._notes)
        os.close(self._vectors)

    def append(self, block: Float32[np.ndarray, "row dim"]) -> None:
        """Write the next rows; when this returns, they survive a power cut.

        Raises:
            OSError: if they cannot be written.
        """
        data = np.ascontiguousarray(block, dtype=np.float32).tobytes()
        _write_all(self._vectors, data, at=self._bytes(self.done))
        os.fsync(self._vectors)
        until = self.done + len(block)
        self._note(_line({"until": until, "crc32": zlib.crc32(data)}))
        self.done = until

    def table(self) -> Float32[np.memmap, "row dim"]:
        """Return all rows, mapped into memory to be read; those not written yet are zero."""
        return np.memmap(self._path, np.float32, "r", shape=self._shape)

    def _bytes(self, rows: int) -> int:
        return rows * self._shape[1] * _BYTES_A_NUMBER

    def _make(self) -> None:
        """Take the room for all rows."""
        self._path.unlink(missing_ok=True)
        size = self._bytes(self._shape[0])
        with self._path.open("wb") as file:
            file.truncate(size)
            if hasattr(os, "posix_fallocate"):  # macOS has none
                os.posix_fallocate(file.fileno(), 0, size)

    def _note(self, line: bytes) -> None:
        _write_all(self._notes, line, at=self._noted)
        os.fsync(self._notes)
        self._noted += len(line)

    def _whole_blocks(self, notes: bytes, head: bytes) -> list[bytes] | None:
        """Return the notes of the whole blocks, None where no file of ours can be gone on with."""
        first, *lines = notes.splitlines(keepends=True) or [b""]
        is_there = self._path.is_file() and self._path.stat().st_size == self._bytes(self._shape[0])
        if first != head or not is_there:
            return None
        try:
            with self._path.open("rb") as file:
                return _as_noted(
                    [line for line in lines if line.endswith(b"\n")], file, self._bytes
                )
        except (ValueError, KeyError, TypeError):  # a note is no note
            return None


def _as_noted(
    lines: list[bytes], file: BinaryIO, size_of: Callable[[int], int]
) -> list[bytes] | None:
    """Return the notes without that of a torn last block, None where an earlier one is damaged.

    Only the last block can be torn. Damage before it means that something else happened to the
    file, and none of it is trusted.
    """
    start = 0
    for number, line in enumerate(lines):
        note = json.loads(line)
        data = file.read(max(0, size_of(note["until"] - start)))
        if not data or zlib.crc32(data) != note["crc32"]:
            return lines[:number] if number == len(lines) - 1 else None
        start = note["until"]
    return lines


def _line(note: Mapping[str, str | int]) -> bytes:
    return (json.dumps(note) + "\n").encode()


def _write_all(descriptor: int, data: bytes, *, at: int) -> None:
    """Write ``data``; through a mapping a full disk would kill the process instead of raising."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, at)
        view, at = view[written:], at + written

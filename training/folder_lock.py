"""One process at a time writes a folder: a second one would overwrite the state of the first."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from service.contract.errors import CheckpointError, SurematchError


@contextmanager
def alone_in(
    folder: Path,
    *,
    doing: str = "trains into",
    error_kind: type[SurematchError] = CheckpointError,
) -> Generator[None]:
    """Hold ``folder`` while the block runs; the system lets go of it even if the process dies.

    The lock is a file beside the folder, so that a folder of somebody else's is not touched.

    Args:
        folder: what is held; it need not exist.
        doing: what the holder does, as a second process is told.
        error_kind: what is raised.

    Raises:
        SurematchError: of the kind asked for, if another process holds the folder, or the lock
            cannot be written.
    """
    path = folder.parent / f".{folder.name}.lock"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        message = f"{folder} cannot be made ({error.strerror}); name another folder"
        raise error_kind(message) from error
    with file:
        if not _is_held(file, path):
            message = f"another process {doing} {folder}; wait for it or name another folder"
            raise error_kind(message)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _is_held(file: TextIO, path: Path) -> bool:
    """Lock ``file``, unless another process has it, or had it and has just removed it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False

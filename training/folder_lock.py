"""One run at a time in a folder: a second process would overwrite the state of the first."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from service.contract.errors import CheckpointError


@contextmanager
def alone_in(folder: Path) -> Generator[None]:
    """Hold ``folder`` while the block runs; the system lets go of it even if the process dies.

    The lock is a file beside the folder, so that a folder of somebody else's is not touched.

    Raises:
        CheckpointError: if another process holds it, or the lock cannot be written.
    """
    path = folder.parent / f".{folder.name}.lock"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        message = f"{folder} cannot be made ({error.strerror}); name another folder"
        raise CheckpointError(message) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"another process trains into {folder}; wait for it or name another folder"
            raise CheckpointError(message) from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

"""The log of changes on disk: locked, replayed, appended to, and made short again."""

import fcntl
import logging
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from service.contract.errors import (
    ChangesCorruptError,
    ChangesError,
    ChangesLockedError,
    ChangesNotKeptError,
)
from service.products.change import Change, WantedChange
from service.products.lines import ReadLog, header, read_log, written

LOG = "changes.log"
LOCK = "changes.lock"
NEW = "changes.log.new"
"""What a log is written as before it takes the place of the old one by a rename."""

logger = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class ChangesLog:
    """An append-only file of changes; one process has it open, one thread at a time uses it.

    A change counts once `append` has returned: then the disk has it.

    Attributes:
        replayed: the changes that were there when it was opened, oldest first.
        size: its bytes.
        lines: how many changes it holds, also those that later ones made void.
    """

    def __init__(
        self, folder: Path, lock: int, found: ReadLog, *, clock: Callable[[], datetime] = _now
    ) -> None:
        self.replayed = tuple(found.changes)
        self.size = found.size
        self.lines = len(found.changes)
        self._folder = folder
        self._lock = lock
        self._clock = clock
        self._checksum = found.checksum
        self._sequence = found.changes[-1].sequence if found.changes else 0
        self._is_torn = self._is_new = False
        self._file = os.open(folder / LOG, os.O_WRONLY | os.O_APPEND)

    @classmethod
    def open(cls, folder: Path) -> "ChangesLog":
        """Return the log in ``folder``, which is made where it is not there.

        What a killed process left behind is cleared away: a line that was not written to its end,
        and a log that had not taken its place.

        Raises:
            ChangesLockedError: if another process has it open.
            ChangesCorruptError: if it is not what was written.
            ChangesError: if the folder cannot be read or written.
        """
        path = folder / LOG
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = _locked(folder)
            try:
                return cls(folder, lock, _recovered(folder))
            except BaseException:
                os.close(lock)
                raise
        except ChangesCorruptError as error:
            message = f"{path}: {error}; restore the file, or move it away to begin without changes"
            raise ChangesCorruptError(message) from error
        except OSError as error:
            message = (
                f"{path} cannot be opened ({error.strerror}); name a folder that can be written"
            )
            raise ChangesError(message) from error

    def append(self, wanted: Sequence[WantedChange]) -> list[Change]:
        """Keep changes, all of them or none; when this returns, the disk has them.

        Raises:
            ChangesNotKeptError: if the disk does not take them; the log is as it was.
        """
        time = self._clock().isoformat(timespec="seconds")
        changes = [
            Change(self._sequence + place, time, one.product_id, one.product)
            for place, one in enumerate(wanted, start=1)
        ]
        content, checksum = written(changes, self._checksum)
        try:
            self._mend()
            self._is_torn = True
            _write_all(self._file, content)
            os.fsync(self._file)
            self._is_torn = False
        except OSError as error:
            self._try_to_mend()
            raise _not_kept(self._folder, error) from error
        self.size += len(content)
        self.lines += len(changes)
        self._sequence += len(changes)
        self._checksum = checksum
        return changes

    def compact(self, changes: Sequence[Change]) -> None:
        """Keep these changes in place of all lines; they are all that still matter.

        The new log takes the old one's place by one rename, so that a process which is killed
        leaves the old one or the new one.

        Args:
            changes: the newest change of each product, oldest first.

        Raises:
            ChangesNotKeptError: if the disk has no room for it; the old log goes on.
        """
        first, checksum = header()
        rest, checksum = written(changes, checksum)
        try:
            file = _put_in_place(self._folder, first + rest)
        except OSError as error:
            raise _not_kept(self._folder, error) from error
        os.close(self._file)
        self._file, self._is_torn, self._is_new = file, False, True
        self._checksum = checksum
        self.size, self.lines = len(first) + len(rest), len(changes)
        self._try_to_mend()

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._file)
        os.close(self._lock)

    def _mend(self) -> None:
        """Cut off what an append that failed may have left; see to it that a new log stays."""
        if self._is_torn:
            os.ftruncate(self._file, self.size)
            os.fsync(self._file)
            self._is_torn = False
        if self._is_new:
            _flush_folder(self._folder)
            self._is_new = False

    def _try_to_mend(self) -> None:
        try:
            self._mend()
        except OSError:  # the next append tries again before it writes
            logger.exception("the log of changes cannot be mended")


def _locked(folder: Path) -> int:
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        message = (
            f"another process writes the changes in {folder}; stop it, or name a folder for each"
        )
        raise ChangesLockedError(message) from None
    return lock


def _recovered(folder: Path) -> ReadLog:
    """Return what the log holds after clearing away what was begun and not ended."""
    path = folder / LOG
    (folder / NEW).unlink(missing_ok=True)
    if not path.exists():
        os.close(_put_in_place(folder, header()[0]))
        _flush_folder(folder)
    content = path.read_bytes()
    found = read_log(content)
    if len(content) > found.size:
        facts = {"path": str(path), "bytes": len(content) - found.size}
        logger.warning("cut off a change that was not written to its end", extra=facts)
        file = os.open(path, os.O_WRONLY)
        try:
            os.ftruncate(file, found.size)
            os.fsync(file)
        finally:
            os.close(file)
    return found


def _put_in_place(folder: Path, content: bytes) -> int:
    """Make this the log by one rename; return its file, to be appended to."""
    new = folder / NEW
    file = os.open(new, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        _write_all(file, content)
        os.fsync(file)
        new.replace(folder / LOG)
    except OSError:
        os.close(file)
        new.unlink(missing_ok=True)
        raise
    return file


def _flush_folder(folder: Path) -> None:
    own = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(own)
    finally:
        os.close(own)


def _write_all(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def _not_kept(folder: Path, error: OSError) -> ChangesNotKeptError:
    message = (
        f"{folder / LOG} cannot be written ({error.strerror}); the change was not made: "
        "make room there and send it again"
    )
    return ChangesNotKeptError(message)

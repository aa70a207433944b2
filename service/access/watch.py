"""The keys file as it changes, so that keys come and go without a restart."""

from pathlib import Path

from service.access.keys import KeyRing
from service.access.keys_file import parse_keys
from service.contract.errors import ConfigError

Look = tuple[int, int, int, int, int]
"""What tells one state of a file from another without reading it."""


class KeysFile:
    """A keys file and what it looked like when it was last read.

    Whoever watches it asks ``changed()`` now and then and calls ``read()`` when it has. Where that
    raises, the ring at hand stays: a slip of the pen must not lock everybody out. A wrong file
    counts as read, so it is complained of once and not at each look; repairing it is a change.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: Look | None = None
        self._is_read = False

    def read(self) -> KeyRing:
        """Return the keys that are in the file now.

        Raises:
            ConfigError: if it cannot be read, or is wrong.
        """
        # Looked at before it is read: what is written meanwhile shows as a change afterwards.
        self._seen = self._look()
        self._is_read = True
        try:
            content = self._path.read_bytes()
        except OSError as error:
            message = (
                f"the keys file {self._path} cannot be read ({error.strerror}); "
                "make it readable or name another one"
            )
            raise ConfigError(message) from error
        return parse_keys(content, source=str(self._path))

    def changed(self) -> bool:
        """Return whether the file is another one than was last read; it is not opened."""
        return not self._is_read or self._look() != self._seen

    def _look(self) -> Look | None:
        try:
            found = self._path.stat()  # of what a link leads to: mounted secrets are links
        except OSError:
            return None
        # The time of the last change of status shows what the rest does not: an edit that keeps
        # size and time of modification, and a mode that makes the file readable again.
        return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)

"""The watch on ``CURRENT``: a bundle that somebody publishes is served without a call."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from service.contract.errors import BundleCorruptError
from service.contract.pointer import CURRENT, resolve_bundle
from service.live.outcomes import RefusedError

logger = logging.getLogger(__name__)

Stamp = tuple[int, int, int] | None
"""Time of change in nanoseconds, size in bytes and inode of a file; None if there is none."""
Stamps = frozenset[tuple[str, Stamp]]
"""Name and stamp of each file in a folder; none where it can't be read."""


@dataclass(frozen=True)
class _Sight:
    """What one look found: the bundle that is named, or why none is; and since when."""

    target: Path | None
    trouble: str
    pointer: Stamp
    files: Stamps


class PointerWatcher:
    """Asks for a bundle when ``CURRENT`` names it, and not again until there is news.

    A bundle that was refused is asked for again once ``CURRENT`` or a file of it changes, as when
    a copy goes on. One that was served is not, so a roll back stays until ``CURRENT`` names another
    bundle.

    Attributes:
        trouble: why the bundle that is named is not served; empty where it is, or was not tried.
    """

    def __init__(
        self,
        root: Path,
        swap: Callable[[Path], Awaitable[object]],
        *,
        watch_seconds: float,
        asked: Path | None = None,
    ) -> None:
        """Set what is watched.

        Args:
            root: a folder of bundles with a file ``CURRENT``, or a bundle, which names itself.
            swap: serves a bundle, or raises `RefusedError`.
            watch_seconds: between two looks.
            asked: the bundle of ``root`` that is served already.
        """
        self._root = root
        self._swap = swap
        self._watch_seconds = watch_seconds
        self._asked = asked
        self._in_vain: _Sight | None = None
        self.trouble = ""

    async def run(self) -> None:
        """Look for ever; to be run as a task and cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # a watch that ended unseen would leave an old bundle for ever
                logger.exception("the watch failed", extra={"root": str(self._root)})
            await asyncio.sleep(self._watch_seconds)

    async def look(self) -> None:
        """Ask for the bundle that is named, if that is news."""
        sight = await asyncio.to_thread(_look_at, self._root)  # a network disk may let us wait
        if sight == self._in_vain or (sight.target is not None and sight.target == self._asked):
            return
        self._in_vain = None
        if sight.target is None:
            self._in_vain, self.trouble = sight, sight.trouble
            facts = {"root": str(self._root), "reason": sight.trouble}
            logger.warning("no bundle is named", extra=facts)
            return
        self._asked = None
        try:
            await self._swap(sight.target)
        except RefusedError as error:  # whoever refused has logged it
            self._in_vain, self.trouble = sight, str(error)
        else:
            self._asked, self.trouble = sight.target, ""


def _look_at(root: Path) -> _Sight:
    pointer = _stamp(root / CURRENT)
    try:
        target = resolve_bundle(root)
    except BundleCorruptError as error:
        return _Sight(None, str(error), pointer, frozenset())
    return _Sight(target, "", pointer, _stamps(target))


def _stamps(folder: Path) -> Stamps:
    try:
        return frozenset((path.name, _stamp(path)) for path in folder.iterdir())
    except OSError:
        return frozenset()


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

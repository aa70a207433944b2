"""Ctrl-C and SIGTERM as a polite request that a run answers between two steps."""

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from service.contract.errors import SurematchError


class StoppedError(SurematchError):
    """The run was asked to stop and saved its state first; the same command goes on."""


@contextmanager
def stop_requests() -> Generator[Callable[[], bool]]:
    """Yield a function that says whether a stop was asked for; a second Ctrl-C is not held."""
    asked = False

    def ask(number: int, _: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

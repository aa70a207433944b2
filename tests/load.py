"""Clients that go on asking, each in a thread of its own, until they are told to stop."""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

Loop = Callable[[threading.Event], None]
"""One client; it returns soon after the event is set, and raises what must fail the test."""


@contextmanager
def under_load(loops: Sequence[Loop]) -> Generator[threading.Event]:
    """Run clients while the block runs; the first error of one of them is raised at its end.

    The event that is yielded is set at the end of the block, or when a client has failed.
    """
    over = threading.Event()

    def run(loop: Loop) -> None:
        try:
            loop(over)
        except BaseException:
            over.set()
            raise

    with ThreadPoolExecutor(len(loops), thread_name_prefix="client") as threads:
        running = [threads.submit(run, loop) for loop in loops]
        try:
            yield over
        finally:
            over.set()
    for client in running:
        client.result()


def paced(
    work: Callable[[int], None], *, per_second: float, threads: int = 4
) -> Callable[[threading.Event], None]:
    """Return a client that begins ``work(0)``, ``work(1)``, … at a fixed rate.

    A slow answer delays no later one, as long as one of the threads is free.
    """

    def loop(over: threading.Event) -> None:
        started = time.monotonic()
        turn = 0
        with ThreadPoolExecutor(threads, thread_name_prefix="paced") as pool:
            begun = []
            while not over.wait(max(0.0, started + turn / per_second - time.monotonic())):
                begun.append(pool.submit(work, turn))
                turn += 1
        for one in begun:
            one.result()

    return loop


def until_over(work: Callable[[], None], *, pause_seconds: float = 0.0) -> Loop:
    """Return a client that does ``work`` again and again."""

    def loop(over: threading.Event) -> None:
        while not over.is_set():
            work()
            if pause_seconds:
                over.wait(pause_seconds)

    return loop

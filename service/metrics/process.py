"""Series of the process itself, as the system sees it."""

from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

THREADS = Path("/proc/self/task")
"""Has an entry a thread, those of native libraries included."""


def add_process_series(registry: CollectorRegistry, *, threads: Path = THREADS) -> None:
    """Show memory, processor time, open files and threads, where the system tells them.

    Args:
        registry: gets the series.
        threads: folder with an entry a thread; without one, threads are left out.
    """
    ProcessCollector(registry=registry)
    if threads.is_dir():
        counted = Gauge(
            "process_threads", "Threads of the process, native ones included.", registry=registry
        )
        counted.set_function(lambda: sum(1 for _ in threads.iterdir()))

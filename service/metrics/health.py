"""Series of what went wrong in the batcher, and whether work still gets done."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.encoder import Failure
from service.metrics.series import counters


class HealthSeries:
    """Counts failures; safe between threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._failures = counters(
            registry,
            "surematch_encoder_failures",
            "Texts that the encoder failed on, by how it failed.",
            label="kind",
            values=Failure,
        )
        self._isolated = Counter(
            "surematch_poison_isolated",
            "Texts that failed in a batch and were told apart, so that its others got answers.",
            registry=registry,
        )
        self._restarts = Counter(
            "surematch_worker_restarts",
            "Workers that got stuck and gave way to another one.",
            registry=registry,
        )
        self._progress = Gauge(
            "surematch_forward_progress",
            "1 while batches come to an end, or none is begun; 0 while one is stuck.",
            registry=registry,
        )
        self._progress.set(1)
        self._ready = Gauge(
            "surematch_ready",
            "1 while a bundle answers, batches come to an end and no stop was asked for; else 0.",
            registry=registry,
        )

    def count_encoder_failure(self, kind: str, was_together: bool) -> None:
        """Count a text that the encoder failed on.

        Args:
            kind: how it failed, a `Failure`.
            was_together: true if it was told apart from others in its batch.
        """
        self._failures[kind].inc()
        if was_together:
            self._isolated.inc()

    def count_restart(self) -> None:
        """Count a worker that got stuck and gave way to another one."""
        self._restarts.inc()

    def watch_progress(self, is_working: Callable[[], bool]) -> None:
        """Show from now on what ``is_working`` says each time that Prometheus looks."""
        self._progress.set_function(is_working)

    def watch_ready(self, is_ready: Callable[[], bool]) -> None:
        """Show from now on what ``is_ready`` says each time that Prometheus looks."""
        self._ready.set_function(is_ready)

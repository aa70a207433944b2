"""Series of requests that get no answer: refused, given up by their client, or out of time."""

from prometheus_client import CollectorRegistry

from service.batching.admission import Refusal
from service.metrics.series import counters
from service.metrics.stages import STAGES

REJECTIONS = (*map(str, Refusal), "payload", "auth", "scope", "rate", "not_ready")
"""Why a request is refused: what the queue says, and what is found before it is asked."""
CANCELLED_STAGES = ("read", "queue", "encode")
DEADLINE_STAGES = ("read", *STAGES)
"""What was under way, or would have come next; `read` is the body, which may come slowly."""


class AdmissionSeries:
    """Counts requests that get no answer; whatever they get, they are counted as requests too."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rejected = counters(
            registry,
            "surematch_admission_rejected",
            "Requests refused before any work on them, by reason.",
            label="reason",
            values=REJECTIONS,
        )
        self._cancelled = counters(
            registry,
            "surematch_request_cancelled",
            "Requests whose client left before the answer, by the stage it left at.",
            label="stage",
            values=CANCELLED_STAGES,
        )
        self._late = counters(
            registry,
            "surematch_deadline_exceeded",
            "Requests whose time was over before the answer, by the stage it ended at.",
            label="stage",
            values=DEADLINE_STAGES,
        )

    def count_rejection(self, reason: str) -> None:
        """Count a request that was refused, for one of `REJECTIONS`."""
        self._rejected[reason].inc()

    def count_cancelled(self, stage: str) -> None:
        """Count a request that nobody waits for any more, at one of `CANCELLED_STAGES`."""
        self._cancelled[stage].inc()

    def count_deadline(self, stage: str) -> None:
        """Count a request whose time was over, at one of `DEADLINE_STAGES`."""
        self._late[stage].inc()

"""Series of time: the seconds of each stage on the way from a text to its answer."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from service.metrics.series import histograms

STAGES = ("tokenise", "queue", "encode", "search", "decide")
STAGE_EDGES = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0),
)


class StageSeries:
    """Times the stages."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stages = histograms(
            registry,
            "surematch_stage_duration_seconds",
            "Seconds that a stage took: tokenise and queue of one body, the others of one batch.",
            label="stage",
            values=STAGES,
            edges=STAGE_EDGES,
        )

    def time_stages(self, seconds: Mapping[str, float]) -> None:
        """Note the seconds that each stage of one body or of one batch took."""
        for stage, taken in seconds.items():
            self._stages[stage].observe(taken)

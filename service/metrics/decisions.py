"""Series of queries and what was decided on them: the promise of the service, in use."""

from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.contract.decision import Decision, Reason
from service.contract.similarities import EDGES
from service.coverage_window import CoverageWindow
from service.metrics.series import counters
from service.recommender import Answer
from service.signals import IdentifierStatus

WINDOWS: Mapping[str, float] = {"5m": 300.0, "1h": 3600.0, "1d": 86400.0}
TOKEN_EDGES = (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512)
NO_TARGET = "none"
"""The target precision of what no bundle that was ever shown has a promise for."""


class DecisionSeries:
    """Counts queries and decisions; to be used on one thread, as its windows are."""

    def __init__(self, registry: CollectorRegistry, *, clock: Callable[[], float]) -> None:
        self._windows = {
            name: CoverageWindow(seconds=seconds, clock=clock) for name, seconds in WINDOWS.items()
        }
        self._make_query_series(registry)
        self._make_decision_series(registry)
        self._decided: dict[float | None, Mapping[Decision, Counter]] = {None: self._unpromised}

    def count_answers(
        self, answers: Sequence[Answer], *, target_precision: float | None = None
    ) -> None:
        """Count queries that were answered, each exactly once.

        Args:
            answers: one a query.
            target_precision: the promise they were decided under; None is the default of the
                bundle that answers.
        """
        accepted = 0
        for answer in answers:
            accepted += answer.decision is Decision.AUTO_ACCEPTED
            self._recommendations[answer.reason].inc()
            if answer.truncated:
                self._truncated.inc()
            if answer.similarity is not None:
                self._top_similarity.observe(answer.similarity)
            if answer.score is not None:
                self._top_score.observe(answer.score)
            if answer.identifier is not None:
                self._identifiers[answer.identifier].inc()
        decided = self._decided.get(target_precision, self._unpromised)
        decided[Decision.AUTO_ACCEPTED].inc(accepted)
        decided[Decision.MANUAL_REVIEW].inc(len(answers) - accepted)
        for window in self._windows.values():
            window.add(asked=len(answers), accepted=accepted)

    def observe_tokens(self, counts: Sequence[int]) -> None:
        """Note the tokens of each query that was tokenised."""
        for tokens in counts:
            self._query_tokens.observe(tokens)

    def expect_targets(self, target_precisions: Sequence[float]) -> None:
        """Make the series of every target precision of a bundle, its default in front.

        Those of earlier bundles stay, as counters must.
        """
        for target in target_precisions:
            if target not in self._decided:
                self._decided[target] = self._decided_under(str(target))
        self._decided[None] = self._decided[target_precisions[0]]

    def _make_query_series(self, registry: CollectorRegistry) -> None:
        self._query_tokens = Histogram(
            "surematch_query_tokens",
            "Tokens of a query, special ones included.",
            buckets=TOKEN_EDGES,
            registry=registry,
        )
        self._truncated = Counter(
            "surematch_truncated",
            "Queries whose text was cut at the model's longest input.",
            registry=registry,
        )
        self._top_similarity = Histogram(
            "surematch_top_similarity",
            "Cosine similarity of a query's best product; negative ones fall in the first bucket.",
            buckets=EDGES,
            registry=registry,
        )
        self._top_score = Histogram(
            "surematch_top_score",
            "Score of a query's best product, where answers have one beside the similarity.",
            buckets=EDGES,
            registry=registry,
        )
        self._identifiers = counters(
            registry,
            "surematch_identifiers",
            "Queries with identifiers, given or found in the text, by what came of them.",
            label="result",
            values=IdentifierStatus,
        )

    def _make_decision_series(self, registry: CollectorRegistry) -> None:
        recommendations = Counter(
            "surematch_recommendations",
            "Queries answered, by decision and its reason.",
            ("decision", "reason"),
            registry=registry,
        )
        self._recommendations = {
            reason: recommendations.labels(reason.decision, reason) for reason in Reason
        }
        self._decisions = Counter(
            "surematch_decisions",
            "Queries answered, by the precision they were decided under and the decision.",
            ("target_precision", "decision"),
            registry=registry,
        )
        self._unpromised = self._decided_under(NO_TARGET)
        coverage = Gauge(
            "surematch_coverage_ratio",
            "Auto-accepted share of the queries answered in the window; NaN while there are none.",
            ("window",),
            registry=registry,
        )
        for name, window in self._windows.items():
            coverage.labels(name).set_function(window.ratio)

    def _decided_under(self, target: str) -> Mapping[Decision, Counter]:
        return {decision: self._decisions.labels(target, decision) for decision in Decision}

"""Figures of the served path on labelled queries: ranking, coverage, precision reached."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from export.promises import accepted_counts, promise_asked_for, promise_lines
from export.served_answers import catalogue_of, judge_served
from service.contract.manifest import FurtherPoint, Manifest
from service.recommender import Recommender, Rules
from training.calibration import precision_lower_bound
from training.comparison import judge_baselines
from training.console import table
from training.data.matches import LabelledQuery
from training.evaluation import CatalogueTexts, JudgedQueries, figures_by_group, retrieval_figures
from training.report import HEAD, percent, ratio, retrieval_rows

SERVED = "served bundle"


@dataclass(frozen=True)
class Evaluation:
    """Judged answers of the served path and, beside it, of the baselines asked for.

    Attributes:
        promise: the one of the bundle's promises whose threshold decides here.
    """

    manifest: Manifest
    promise: FurtherPoint
    served: JudgedQueries
    baselines: Mapping[str, JudgedQueries]

    @property
    def threshold(self) -> float | None:
        """Return the least similarity that is accepted here, or None where nothing is."""
        point = self.promise.operating_point
        return point.threshold if point else None

    def figures(self) -> dict[str, Any]:
        """Return all figures: of all queries at the top, of each group and baseline below."""
        return {
            "bundle_id": self.manifest.bundle_id,
            "target_precision": self.promise.target_precision,
            "confidence": self.manifest.calibration.confidence,
            "threshold": self.threshold,
            "calibrated_coverage": self.manifest.coverage_at(self.promise.target_precision),
            **self.figures_of(self.served),
            **self._signals(),
            "operating_points": self._operating_points(),
            "groups": {
                name: self.figures_of(group)
                for name, group in self.served.groups().items()
                if name != "all"
            },
            "baselines": {
                name: figures_by_group(judged) for name, judged in self.baselines.items()
            },
        }

    def figures_of(self, judged: JudgedQueries) -> dict[str, Any]:
        """Return `served_figures` of some of the queries at the threshold that decides here."""
        confidence = self.manifest.calibration.confidence
        rules = self.manifest.rules_at(self.promise.target_precision)
        return served_figures(judged, self.threshold, confidence=confidence, rules=rules)

    def table(self) -> list[str]:
        """Return the lines of a Markdown table: baselines, then the bundle with its promise."""
        target = percent(self.promise.target_precision).removesuffix("%")
        head = [*HEAD, f"promised cov@{target}", "precision of the accepted"]
        rows = [
            [*row, "-", "-"]
            for name, judged in self.baselines.items()
            for row in retrieval_rows(name, figures_by_group(judged))
        ]
        for name, group in self.served.groups().items():
            figures = self.figures_of(group)
            precision = ratio(figures["accepted_precision"])
            [row] = retrieval_rows(SERVED, {name: figures})
            rows.append([*row, ratio(figures["coverage"]), precision])
        return table(head, rows)

    def promises(self) -> list[str]:
        """Return the lines on the promise that decides here and on the bundle's other ones."""
        shown = self.promise.target_precision
        return list(promise_lines(self.manifest, shown=shown, judged=self.served))

    def _signals(self) -> dict[str, Any]:
        """Return what decides and what identifiers did, in a bundle that knows of them."""
        if self.manifest.signals is None:
            return {}
        named = self.served.named_by
        there = [] if named is None else sorted({*named.tolist()} - {""})
        return {
            "decides_on": self.manifest.decides_on.value,
            "identifier_matches": {
                kind: {
                    "queries": int((named == kind).sum()),
                    "wrong": int(((named == kind) & ~self.served.is_correct).sum()),
                }
                for kind in there
            },
        }

    def _operating_points(self) -> list[dict[str, Any]]:
        """Return what each threshold of the bundle accepts of all queries, the default first."""
        names = ("accepted", "coverage", "accepted_precision")
        points: list[dict[str, Any]] = []
        for target in self.manifest.target_precisions:
            threshold = self.manifest.threshold_at(target)
            rules = self.manifest.rules_at(target)
            reached = accepted_counts(self.served, threshold, rules=rules)
            point = {"target_precision": target, "threshold": threshold}
            points.append({**point, **{name: reached[name] for name in names}})
        return points


def evaluate(
    recommender: Recommender,
    manifest: Manifest,
    queries: Sequence[LabelledQuery],
    *,
    baselines: Collection[str] = (),
    target_precision: float | None = None,
) -> Evaluation:
    """Ask the served path every query and compare its answers with the labels.

    Args:
        recommender: the served path.
        manifest: of its bundle.
        queries: what is asked.
        baselines: names of the systems to set beside it.
        target_precision: which promise of the bundle decides; None is its default.

    Raises:
        ConfigError: if the bundle was not built for ``target_precision``.
    """
    promise = promise_asked_for(manifest, target_precision)
    judged = judge_served(recommender, queries, what=SERVED)
    catalogue = catalogue_of(recommender)
    texts: list[str] = catalogue.table.column("product_text").to_pylist()
    return Evaluation(
        manifest=manifest,
        promise=promise,
        served=judged,
        baselines=judge_baselines(
            baselines,
            queries,
            CatalogueTexts(catalogue.product_ids, texts),
            trained_products=catalogue.seen_products(),
            base=manifest.encoder.base,
            max_tokens=manifest.encoder.max_tokens,
        ),
    )


def served_figures(
    judged: JudgedQueries,
    threshold: float | None,
    *,
    confidence: float,
    rules: Rules | None = None,
) -> dict[str, Any]:
    """Return retrieval figures, and what a threshold and rules accept of these queries.

    Beside the counts of `accepted_counts`, ``accepted_precision_lower_bound`` is the exact bound
    of the precision at ``confidence``, None where nothing was accepted.
    """
    counts = accepted_counts(judged, threshold, rules=rules)
    accepted, wrong = counts["accepted"], counts["wrong"]
    return {
        **retrieval_figures(judged),
        **counts,
        "accepted_precision_lower_bound": (
            precision_lower_bound(accepted, wrong, confidence) if accepted else None
        ),
    }

"""Figures of the served path on labelled queries: ranking, coverage, precision reached."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.served_answers import judge_served
from service.contract.decision import Decision, decide
from service.contract.manifest import Manifest
from service.recommender import Recommender
from training.calibration import precision_lower_bound
from training.comparison import judge_baselines
from training.console import table
from training.data.matches import LabelledQuery
from training.evaluation import CatalogueTexts, JudgedQueries, figures_by_group, retrieval_figures
from training.report import HEAD, percent, ratio, retrieval_rows

SERVED = "served bundle"


@dataclass(frozen=True)
class Evaluation:
    """Judged answers of the served path and, beside it, of the baselines asked for."""

    manifest: Manifest
    served: JudgedQueries
    baselines: Mapping[str, JudgedQueries]

    def figures(self) -> dict[str, Any]:
        """Return all figures: of all queries at the top, of each group and baseline below."""
        calibration = self.manifest.calibration
        return {
            "bundle_id": self.manifest.bundle_id,
            "target_precision": calibration.target_precision,
            "confidence": calibration.confidence,
            "threshold": self.manifest.threshold,
            "calibrated_coverage": point.coverage
            if (point := self.manifest.operating_point)
            else 0,
            **served_figures(self.served, self.manifest),
            "groups": {
                name: served_figures(group, self.manifest)
                for name, group in self.served.groups().items()
                if name != "all"
            },
            "baselines": {
                name: figures_by_group(judged) for name, judged in self.baselines.items()
            },
        }

    def table(self) -> list[str]:
        """Return the lines of a Markdown table: baselines, then the bundle with its promise."""
        target = percent(self.manifest.calibration.target_precision).removesuffix("%")
        head = [*HEAD, f"promised cov@{target}", "precision of the accepted"]
        rows = [
            [*row, "-", "-"]
            for name, judged in self.baselines.items()
            for row in retrieval_rows(name, figures_by_group(judged))
        ]
        for name, group in self.served.groups().items():
            figures = served_figures(group, self.manifest)
            precision = ratio(figures["accepted_precision"])
            [row] = retrieval_rows(SERVED, {name: figures})
            rows.append([*row, ratio(figures["coverage"]), precision])
        return table(head, rows)


def evaluate(
    recommender: Recommender,
    manifest: Manifest,
    queries: Sequence[LabelledQuery],
    *,
    baselines: Collection[str] = (),
) -> Evaluation:
    """Ask the served path every query and compare its answers with the labels."""
    judged = judge_served(recommender, queries, what=SERVED)
    catalogue = recommender.catalogue
    texts: list[str] = catalogue.table.column("product_text").to_pylist()
    return Evaluation(
        manifest=manifest,
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


def served_figures(judged: JudgedQueries, manifest: Manifest) -> dict[str, Any]:
    """Return retrieval figures, and what the bundle's threshold accepts of these queries.

    ``coverage`` is accepted / queries, ``accepted_precision`` the right share of the accepted
    and ``accepted_precision_lower_bound`` its exact bound at the bundle's confidence; the last
    two are None where nothing was accepted.
    """
    is_accepted = np.array(
        [decide(s, manifest.threshold) is Decision.AUTO_ACCEPTED for s in judged.similarity],
        dtype=bool,
    )
    accepted = int(is_accepted.sum())
    wrong = int((is_accepted & ~judged.is_correct).sum())
    confidence = manifest.calibration.confidence
    return {
        **retrieval_figures(judged),
        "accepted": accepted,
        "wrong": wrong,
        "coverage": accepted / len(judged) if len(judged) else None,
        "accepted_precision": 1 - wrong / accepted if accepted else None,
        "accepted_precision_lower_bound": (
            precision_lower_bound(accepted, wrong, confidence) if accepted else None
        ),
    }

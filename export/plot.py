"""One picture of a bundle's answers: coverage against precision, and where the wrong ones lie."""

import io
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # files only; no window system is needed

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from export.evaluate import Evaluation
from service.contract.errors import UsageError
from training.data.table_writer import write_bytes
from training.evaluation import JudgedQueries
from training.metrics import risk_coverage_counts
from training.report import percent

PICTURES = ("png", "svg", "pdf")
RIGHT, WRONG, POINT = "#2a7f62", "#c8553d", "#1d3557"


def draw_evaluation(evaluation: Evaluation, out: Path) -> None:
    """Draw the coverage-precision curve with the operating point, and both histograms.

    Raises:
        DataError: if the file cannot be written.
        UsageError: if `picture_kind` does not know its suffix.
    """
    kind = picture_kind(out)
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
    _draw_curves(left, evaluation)
    _draw_histograms(right, evaluation)
    figure.suptitle(f"bundle {evaluation.manifest.bundle_id}: {len(evaluation.served)} queries")
    picture = io.BytesIO()
    figure.savefig(picture, format=kind, dpi=120)
    plt.close(figure)
    write_bytes(out, picture.getvalue())


def picture_kind(path: Path) -> str:
    """Return the kind of picture that the suffix of ``path`` asks for.

    Raises:
        UsageError: if it is none of `PICTURES`.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in PICTURES:
        message = f"{path} is no kind of picture; name a file with .{', .'.join(PICTURES)}"
        raise UsageError(message)
    return kind


def _draw_curves(axis: Axes, evaluation: Evaluation) -> None:
    target = evaluation.promise.target_precision
    for name, judged in evaluation.baselines.items():
        axis.plot(*_curve(judged), label=name, linewidth=1, alpha=0.7)
    axis.plot(*_curve(evaluation.served), label="served", color=POINT, linewidth=2)
    axis.axhline(
        target,
        color="grey",
        linestyle="--",
        linewidth=1,
        label=f"promised precision {percent(target)}",
    )
    _draw_operating_point(axis, evaluation)
    low = min(0.5, target - 0.05)
    axis.set(
        xlabel="coverage: share of queries auto-accepted",
        ylabel="precision of the accepted",
        xlim=(0, 1.01),
        ylim=(low, 1.005),
        title="Coverage and precision",
    )
    axis.grid(alpha=0.3)
    axis.legend(loc="lower left", fontsize=8)


def _draw_operating_point(axis: Axes, evaluation: Evaluation) -> None:
    """Mark what the promised threshold reached here, with its confidence bound."""
    figures = evaluation.figures_of(evaluation.served)
    if not figures["accepted"]:
        axis.text(0.5, 0.5, "nothing accepted", transform=axis.transAxes, ha="center")
        return
    precision, bound = figures["accepted_precision"], figures["accepted_precision_lower_bound"]
    axis.errorbar(
        figures["coverage"],
        precision,
        yerr=[[precision - bound], [0]],
        fmt="o",
        color=WRONG,
        capsize=4,
        label=f"operating point: {figures['coverage']:.1%} at {precision:.1%}, bound {bound:.1%}",
    )


def _draw_histograms(axis: Axes, evaluation: Evaluation) -> None:
    judged = evaluation.served
    known = ~np.isnan(judged.similarity)
    edges = np.linspace(min(0.0, *judged.similarity[known], 1.0), 1.0, 51)
    for name, mask, colour in (
        ("right", known & judged.is_correct, RIGHT),
        ("wrong", known & ~judged.is_correct, WRONG),
    ):
        count = int(mask.sum())
        label = f"{name} ({count})"
        axis.hist(
            judged.similarity[mask], bins=edges.tolist(), alpha=0.65, color=colour, label=label
        )
    threshold = evaluation.threshold
    if threshold is not None:
        axis.axvline(threshold, color=POINT, linestyle="--", label=f"threshold {threshold:.3f}")
    axis.set(
        xlabel="similarity of the best product",
        ylabel="queries",
        title="Similarity of right and wrong answers",
    )
    axis.grid(alpha=0.3)
    axis.legend(loc="upper left", fontsize=8)


def _curve(judged: JudgedQueries) -> tuple[list[float], list[float]]:
    accepted, wrong = risk_coverage_counts(judged.similarity, judged.is_correct)
    return (accepted / len(judged)).tolist(), (1 - wrong / accepted).tolist()

"""A study in two pictures: coverage against precision, and coverage by variant."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # files only; no window system is needed

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.data.table_writer import write_bytes
from training.report import percent
from training.study.results import StudyResults
from training.study.summary import of_recipe, summarise

CURVES = "curves.png"
BARS = "coverage.png"

_COLOURS = ("#1d3557", "#2a7f62", "#c8553d", "#8e6c8a", "#d9a441", "#4f9bc0")
_BASELINE_STYLES = ("--", ":", "-.")


def draw_study(results: StudyResults, out: Path) -> None:
    """Draw both pictures into a folder; nothing where no run is finished.

    Raises:
        DataError: if a file cannot be written.
    """
    bases = list(dict.fromkeys(base for base, _ in results.recipes()))
    if not bases:
        return
    for name, draw in ((CURVES, _draw_curves), (BARS, _draw_bars)):
        figure, axes = plt.subplots(
            1, len(bases), figsize=(6 * len(bases), 4.6), layout="constrained", squeeze=False
        )
        for axis, base in zip(axes[0], bases, strict=True):
            draw(axis, results, base)
            axis.set_title(base)
            axis.grid(alpha=0.3)
        figure.suptitle(f"{results.section.name} ({results.dates()})")
        _write(figure, out / name)


def _draw_curves(axis: Axes, results: StudyResults, base: str) -> None:
    """Draw the test queries' curves: thin ones of seeds, a thick one of their mean."""
    for style, (name, figures) in zip(_BASELINE_STYLES, results.baselines.items(), strict=False):
        axis.plot(*_points([figures["curve"]]), style, color="grey", linewidth=1, label=name)
    for colour, variant in zip(_colours(results), _variants(results, base), strict=False):
        curves = [run["curve"] for run in of_recipe(results.runs, base, variant)]
        for curve in curves if len(curves) > 1 else []:
            axis.plot(*_points([curve]), color=colour, linewidth=0.6, alpha=0.4)
        label = f"{variant} ({len(curves)} seeds)"
        axis.plot(*_points(curves), color=colour, linewidth=2, label=label)
    target = results.section.target_precision
    axis.axhline(
        target, color="black", linestyle="--", linewidth=0.8, label=f"promised {percent(target)}"
    )
    axis.set(
        xlabel="coverage: share of test queries accepted",
        ylabel="precision of the accepted",
        xlim=(0, 1.01),
        ylim=(min(0.5, target - 0.05), 1.005),
    )
    axis.legend(loc="lower left", fontsize=8)


def _draw_bars(axis: Axes, results: StudyResults, base: str) -> None:
    """Draw promised and oracle coverage of each variant, with deviations over the seeds."""
    variants = _variants(results, base)
    summaries = [summarise(of_recipe(results.runs, base, name), "all") for name in variants]
    target = percent(results.section.target_precision)
    places = np.arange(len(variants))
    for offset, measure, label, colour in (
        (-0.2, "coverage", f"promised {target}, on the test queries", _COLOURS[0]),
        (0.2, "oracle_coverage_95", "oracle at 95%, an upper bound", _COLOURS[5]),
    ):
        spreads = [summary.measures[measure] for summary in summaries]
        axis.bar(
            places + offset,
            [spread.mean or 0.0 for spread in spreads],
            0.38,
            yerr=[spread.deviation or 0.0 for spread in spreads],
            color=colour,
            capsize=4,
            label=label,
        )
    promised = [f"{s.promised} of {s.runs} promised" for s in summaries]
    labels = [f"{name}\n{words}" for name, words in zip(variants, promised, strict=True)]
    axis.set_xticks(places, labels, fontsize=8)
    axis.set(ylabel="share of test queries", ylim=(0, 1.2))
    axis.legend(loc="upper right", fontsize=8)


def _variants(results: StudyResults, base: str) -> list[str]:
    return [variant for name, variant in results.recipes() if name == base]


def _colours(results: StudyResults) -> list[str]:
    repeats = -(-len(results.section.variants) // len(_COLOURS))
    return [*_COLOURS * repeats]


def _points(curves: Sequence[Sequence[float | None]]) -> tuple[list[float], list[float]]:
    """Return coverage and mean precision wherever every curve is defined."""
    found: tuple[list[float], list[float]] = ([], [])
    for step, values in enumerate(zip(*curves, strict=True), start=1):
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            found[0].append(step / len(curves[0]))
            found[1].append(sum(known) / len(known))
    return found


def _write(figure: Figure, path: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    plt.close(figure)
    write_bytes(path, picture.getvalue())

"""One panel on one set of axes, by its kind."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from deploy.dashboards.panel import Kind, Panel
from deploy.pictures.prometheus import Series
from deploy.pictures.words import worded

Drawn = Sequence[tuple[str, Series]]
"""Series with their names in the legend."""
GOOD, BAD, PALE = "#73bf69", "#f2495c", "#8e8e8e"
_DAY = 86400
MOST_NAMES = 8
"""Names in a legend; further series are drawn without one."""


@dataclass(frozen=True)
class Data:
    """What a panel's expressions gave, by query, and when bundles were swapped."""

    series: Sequence[Drawn]
    swaps: Sequence[float]

    @property
    def all(self) -> list[tuple[str, Series]]:
        """Return the series of all queries."""
        return [pair for drawn in self.series for pair in drawn]


def draw(axes: Axes, panel: Panel, data: Data) -> None:
    """Draw a panel; one without any value says so."""
    axes.set_title(panel.title, fontsize=9, loc="left")
    if not any(np.isfinite(series.values).any() for _, series in data.all):
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no data", color=PALE, ha="center", transform=axes.transAxes)
        return
    _DRAW[panel.kind](axes, panel, data)


def _lines(axes: Axes, panel: Panel, data: Data) -> None:
    for number, (name, series) in enumerate(data.all):
        label = name if number < MOST_NAMES else None
        axes.plot(_when(series.times), series.values, linewidth=1.2, label=label)
    _finish_lines(axes, panel, data)
    if panel.alert_at is not None and axes.get_ylim()[1] >= panel.alert_at:
        axes.axhline(panel.alert_at, color=BAD, linestyle="--", linewidth=0.8)


def _shares(axes: Axes, panel: Panel, data: Data) -> None:
    times = sorted({time for _, series in data.all for time in series.times})
    rows = [_aligned(series, times) for _, series in data.all]
    axes.stackplot(_when(times), rows, labels=[name for name, _ in data.all], alpha=0.8)
    _finish_lines(axes, panel, data)


def _finish_lines(axes: Axes, panel: Panel, data: Data) -> None:
    axes.set_ylim(bottom=0, top=panel.top or 1.1 * axes.dataLim.y1 or 1)
    axes.yaxis.set_major_formatter(lambda value, _: worded(value, panel.unit))
    _mark_time(axes, data)
    axes.legend(fontsize=6, ncols=4, loc="upper left", framealpha=0.4)


def _number(axes: Axes, panel: Panel, data: Data) -> None:
    _, series = data.all[0]
    newest = next(value for value in reversed(series.values) if math.isfinite(value))
    limit = panel.alert_at
    is_bad = limit is not None and (newest < limit if panel.alert_below else newest > limit)
    axes.plot(_when(series.times), series.values, color=PALE, linewidth=0.8, alpha=0.6)
    axes.set_axis_off()
    axes.text(
        *(0.5, 0.5, worded(newest, panel.unit)),
        color=BAD if is_bad else GOOD,
        fontsize=16,
        ha="center",
        va="center",
        transform=axes.transAxes,
    )


def _heat(axes: Axes, panel: Panel, data: Data) -> None:
    by_edge = {float(series.labels["le"]): series for _, series in data.all}
    edges = sorted(edge for edge in by_edge if math.isfinite(edge))
    times = sorted({time for series in by_edge.values() for time in series.times})
    counted = np.array([_aligned(by_edge[edge], times) for edge in edges])
    in_buckets = np.diff(counted, axis=0, prepend=0.0)
    axes.pcolormesh(_when(times), edges, in_buckets, shading="nearest", cmap="inferno")
    axes.yaxis.set_major_formatter(lambda value, _: worded(value, panel.unit))
    _mark_time(axes, data)


def _bars(axes: Axes, panel: Panel, data: Data) -> None:
    names = [name for drawn in data.series for name, _ in drawn[:1]]
    edges = sorted({float(series.labels["le"]) for _, series in data.all})
    width = 0.8 / max(1, len(names))
    for number, (name, drawn) in enumerate(zip(names, filter(None, data.series), strict=True)):
        values = {float(series.labels["le"]): series.values[-1] for _, series in drawn}
        heights = np.nan_to_num([values.get(edge, 0.0) for edge in edges])
        axes.bar(np.arange(len(edges)) + number * width, heights, width, label=name)
    axes.set_xticks(range(len(edges)), [f"{edge:g}" for edge in edges], fontsize=6)
    axes.set_ylim(0, panel.top)
    axes.yaxis.set_major_formatter(lambda value, _: worded(value, panel.unit))
    axes.tick_params(labelsize=6)
    axes.legend(fontsize=6, loc="upper left", framealpha=0.4)


def _states(axes: Axes, _panel: Panel, data: Data) -> None:
    for row, (_, series) in enumerate(data.all):
        axes.plot(
            _when(series.times), [row] * len(series.times), linewidth=10, solid_capstyle="butt"
        )
    axes.set_yticks(range(len(data.all)), [name for name, _ in data.all])
    axes.set_ylim(-0.7, len(data.all) - 0.3)
    _mark_time(axes, data)


def _mark_time(axes: Axes, data: Data) -> None:
    """Mark the swaps inside the time that is shown, and write the times small."""
    low, high = axes.get_xlim()
    for swap in data.swaps:
        axes.axvline(swap / _DAY, color="#b877d9", linewidth=0.8)  # matplotlib counts days
    axes.set_xlim(low, high)
    axes.tick_params(labelsize=6)
    axes.grid(visible=True, alpha=0.15)


def _when(times: Sequence[float]) -> np.ndarray:
    return (1000 * np.asarray(times)).astype("datetime64[ms]")


def _aligned(series: Series, times: Sequence[float]) -> list[float]:
    """Return a value for each time; 0 where the series has none."""
    values = dict(zip(series.times, series.values, strict=True))
    return [0.0 if math.isnan(values.get(time, 0.0)) else values.get(time, 0.0) for time in times]


_DRAW: Mapping[Kind, Callable[[Axes, Panel, Data], None]] = {
    Kind.LINES: _lines,
    Kind.SHARES: _shares,
    Kind.NUMBER: _number,
    Kind.HEAT: _heat,
    Kind.BARS: _bars,
    Kind.STATES: _states,
}

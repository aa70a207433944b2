"""A whole dashboard as one picture, each panel where Grafana has it."""

from datetime import UTC, datetime
from pathlib import Path

from matplotlib import style
from matplotlib.figure import Figure

from deploy.dashboards.panel import COLUMNS, SWAPS, Board, Kind, Panel
from deploy.pictures.drawing import Data, draw
from deploy.pictures.prometheus import Prometheus, Span

LABEL = "drawn with matplotlib from Prometheus data, not Grafana"
LOOK = {"axes.facecolor": "#181b1f", "figure.facecolor": "#111217"}
INCHES_WIDE = 16.0
TITLE_ROWS = 1
INCHES_A_ROW = 0.33
"""Of a row of Grafana's grid; a panel is 4 or 8 of them high."""


def draw_board(board: Board, prometheus: Prometheus, span: Span, path: Path) -> None:
    """Write the picture of a dashboard, from what Prometheus has of this time.

    Raises:
        PrometheusError: if Prometheus is not there, or refuses an expression.
    """
    places = _places(board)
    rows = max(top + panel.height for panel, top, _ in places)
    with style.context(["dark_background", LOOK]):
        figure = Figure(figsize=(INCHES_WIDE, INCHES_A_ROW * (rows + TITLE_ROWS)))
        figure.text(0.01, 1 - 0.5 * TITLE_ROWS / (rows + TITLE_ROWS), _title(board, span))
        swaps = _swaps(prometheus, span)
        for panel, top, left in places:
            axes = figure.add_axes(_inside(panel, top + TITLE_ROWS, left, rows + TITLE_ROWS))
            draw(axes, panel, _data(prometheus, panel, span, swaps))
        figure.savefig(path, dpi=100)


def _inside(panel: Panel, top: int, left: int, rows: int) -> tuple[float, float, float, float]:
    """Return left, bottom, width and height of the axes of a panel, as parts of the picture."""
    before, beside = (3.0, 3.5) if panel.kind is Kind.STATES else (1.0, 1.5)
    return (
        (left + before) / COLUMNS,
        1 - (top + panel.height - 1) / rows,
        (panel.span - beside) / COLUMNS,
        (panel.height - 2) / rows,
    )


def _title(board: Board, span: Span) -> str:
    times = [datetime.fromtimestamp(at, UTC) for at in (span.start, span.end)]
    shown = f"{times[0]:%Y-%m-%d %H:%M} to {times[1]:%H:%M} UTC"
    return f"{board.title}, {shown} ({LABEL})"


def _places(board: Board) -> list[tuple[Panel, int, int]]:
    """Return each panel with its row and column in the grid."""
    places: list[tuple[Panel, int, int]] = []
    top = left = 0
    for panel in board.panels:
        places.append((panel, top, left))
        left += panel.span
        if left == COLUMNS:
            top, left = top + panel.height, 0
    return places


def _data(prometheus: Prometheus, panel: Panel, span: Span, swaps: list[float]) -> Data:
    ask = prometheus.newest if panel.kind is Kind.BARS else prometheus.over_time
    found = [
        [(series.named(query.legend), series) for series in ask(query.expression, span)]
        for query in panel.queries
    ]
    return Data(found, swaps)


def _swaps(prometheus: Prometheus, span: Span) -> list[float]:
    found = {value for series in prometheus.over_time(SWAPS, span) for value in series.values}
    return sorted(value for value in found if span.start <= value <= span.end)

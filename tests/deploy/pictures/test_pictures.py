"""Pictures of the dashboards: every expression is asked for, and what comes is drawn."""

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from deploy.dashboards.boards import BOARDS
from deploy.dashboards.panel import Kind, Panel, Query, Unit
from deploy.pictures.__main__ import main
from deploy.pictures.board import LABEL, draw_board
from deploy.pictures.drawing import BAD, GOOD, Data, draw
from deploy.pictures.prometheus import Prometheus, PrometheusError, Series, Span, filled_in
from tests.deploy.pictures.stand_in import Rows, standing_in

SPAN = Span(1_800_000_000.0, 1_800_003_600.0, 60.0)
NOBODY = "http://127.0.0.1:9"


def made_up(expression: str) -> Rows:
    """Two replicas, or the buckets of a histogram; values that rise."""
    if "loaded_timestamp" in expression:
        return [({"instance": "a"}, lambda _: SPAN.start + 600)]
    if "by (le)" in expression and "quantile" not in expression:
        return [({"le": str(edge)}, lambda t, e=edge: e * (t - 1.7e9)) for edge in (0.5, 1.0)]
    labels = {"reason": "r", "route": "/recommend", "bundle_id": "b-1", "generation": "1"}
    return [({"instance": i, **labels}, lambda t: (t - 1.8e9) / 1e4) for i in ("a", "b")]


def drawn(panel: Panel, *found: list[tuple[str, Series]], swaps: tuple[float, ...] = ()) -> Figure:
    figure = Figure()
    draw(figure.add_subplot(), panel, Data(found, swaps))
    figure.draw_without_rendering()
    return figure


def panel(kind: Kind, *, alert_at: float | None = None, alert_below: bool = False) -> Panel:
    query = Query("a", "name")
    return Panel(
        "A title", "Words.", (query,), Unit.SHARE, kind, alert_at=alert_at, alert_below=alert_below
    )


def series(*values: float, **labels: str) -> Series:
    return Series(labels, [SPAN.start + 60 * n for n in range(len(values))], values)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOARDS)
def test_a_picture_asks_for_the_panels_own_expressions_and_is_written(
    name: str, tmp_path: Path
) -> None:
    board = BOARDS[name]
    with standing_in(made_up) as stand_in:
        draw_board(board, Prometheus(stand_in.url), SPAN, tmp_path / "p.png")

    asked = {expression for _, expression in stand_in.asked}
    own = {filled_in(q.expression, SPAN) for panel in board.panels for q in panel.queries}
    assert own <= asked
    assert not any("$" in expression for expression in asked)
    height, width, _ = image.imread(tmp_path / "p.png").shape
    assert width == 1600
    assert height > 600


def test_a_picture_says_that_grafana_did_not_draw_it() -> None:
    assert LABEL == "drawn with matplotlib from Prometheus data, not Grafana"


def test_the_command_draws_every_dashboard_from_the_prometheus_it_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drew: list[str] = []
    monkeypatch.setattr(
        "deploy.pictures.__main__.draw_board",
        lambda board, _prometheus, span, path: drew.append(f"{board.name} {path.name} {span.end}"),
    )

    code = main(["--out", str(tmp_path), "--prometheus", NOBODY, "--end", "600", "--minutes", "5"])

    assert code == 0
    assert drew == ["coverage dashboard_coverage.png 600.0", "service dashboard_service.png 600.0"]
    assert capsys.readouterr().out.count(".png") == 2


def test_no_prometheus_is_one_line_that_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--prometheus", NOBODY, "--end", "600"])

    assert code == 1
    assert capsys.readouterr().err.startswith(f"error: no Prometheus answers at {NOBODY}")


def test_an_expression_that_is_refused_is_named() -> None:
    def refuse(_: str) -> Rows:
        message = "parse error"
        raise ValueError(message)

    with standing_in(refuse) as stand_in, pytest.raises(PrometheusError, match=r"sum\(.*parse"):
        Prometheus(stand_in.url).over_time("sum(", SPAN)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("found", [[], [("name", series(math.nan, math.nan, le="1"))]])
def test_a_panel_without_a_value_says_so(kind: Kind, found: list[tuple[str, Series]]) -> None:
    (axes,) = drawn(panel(kind), found).axes

    assert [text.get_text() for text in axes.texts] == ["no data"]
    assert axes.get_title(loc="left") == "A title"


def test_lines_are_drawn_with_their_names_the_alert_and_the_swaps_in_view() -> None:
    found = [("one", series(0.1, 0.6)), ("two", series(0.3, math.nan))]
    swaps = (SPAN.start + 30, SPAN.start - 1e6)

    (axes,) = drawn(panel(Kind.LINES, alert_at=0.5), found, swaps=swaps).axes

    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]
    assert len(axes.lines) == 2 + 2 + 1
    assert axes.get_ylim()[0] == 0
    low, high = axes.get_xlim()
    assert high - low < 1 / 24


@pytest.mark.parametrize(
    ("value", "alert_at", "alert_below", "colour"),
    [
        (0.4, None, False, GOOD),
        (0.4, 0.5, False, GOOD),
        (0.6, 0.5, False, BAD),
        (0.4, 0.5, True, BAD),
        (0.6, 0.5, True, GOOD),
    ],
)
def test_a_number_is_the_newest_value_and_red_on_the_wrong_side(
    value: float, alert_at: float | None, *, alert_below: bool, colour: str
) -> None:
    found = [("name", series(0.9, value, math.nan))]

    (axes,) = drawn(panel(Kind.NUMBER, alert_at=alert_at, alert_below=alert_below), found).axes

    (text,) = axes.texts
    assert (text.get_text(), text.get_color()) == (f"{100 * value:.3g} %", colour)


def test_a_heat_map_shows_what_lies_between_two_edges() -> None:
    found = [
        ("", series(2, 3, le="0.5")),
        ("", series(5, 4, le="1.0")),
        ("", series(9, 9, le="+Inf")),
    ]

    (axes,) = drawn(panel(Kind.HEAT), found).axes

    (mesh,) = axes.collections
    assert np.asarray(mesh.get_array()).tolist() == [[2, 3], [3, 1]]


def test_bars_stand_side_by_side_for_each_edge() -> None:
    live = [("live", series(0.7, le="1.0")), ("live", series(0.2, le="0.5"))]
    calibration = [("calibration", series(0.1, le="0.5"))]

    (axes,) = drawn(panel(Kind.BARS), live, calibration).axes

    heights = [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert heights == [0.2, 0.7, 0.1, 0.0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5", "1"]


def test_bars_of_which_one_query_gave_nothing_show_the_other() -> None:
    (axes,) = drawn(panel(Kind.BARS), [], [("calibration", series(0.1, le="0.5"))]).axes

    assert len(axes.containers) == 1


def test_shares_lie_on_top_of_each_other() -> None:
    found = [("one", series(0.25, 0.5)), ("two", series(0.75, 0.5))]

    (axes,) = drawn(panel(Kind.SHARES), found).axes

    tops = [area.get_datalim(axes.transData).y1 for area in axes.collections]
    assert tops == [0.5, 1.0]


def test_states_are_a_row_for_each_label() -> None:
    (axes,) = drawn(panel(Kind.STATES), [("a b-1", series(1, 1)), ("b b-2", series(1, 1))]).axes

    assert [label.get_text() for label in axes.get_yticklabels()] == ["a b-1", "b b-2"]

"""Every panel can be read, and asks for what the service has."""

import re
from collections.abc import Mapping

import pytest

from deploy.dashboards.boards import BOARDS
from deploy.dashboards.panel import COLUMNS, Board, Kind, Panel, Unit
from tests.monitoring import alerts, exposed, faults_of

PANELS = [(board, panel) for board in BOARDS.values() for panel in board.panels]
IDS = [f"{board.name}: {panel.title}" for board, panel in PANELS]


@pytest.fixture(scope="module")
def series() -> Mapping[str, Mapping[str, set[str]]]:
    return exposed()


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=IDS)
def test_a_panel_says_what_it_shows_and_how_to_read_it(board: Board, panel: Panel) -> None:
    titles = [other.title for other in board.panels]

    assert titles.count(panel.title) == 1
    assert panel.description.endswith(".")
    assert 40 <= len(panel.description) <= 220
    assert panel.queries
    assert all(query.legend for query in panel.queries)
    assert isinstance(panel.unit, Unit)


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=IDS)
def test_a_panel_asks_for_metrics_and_label_values_that_the_service_has(
    board: Board,  # noqa: ARG001
    panel: Panel,
    series: Mapping[str, Mapping[str, set[str]]],
) -> None:
    for query in panel.queries:
        assert faults_of(query.expression, series) == []


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=IDS)
def test_a_legend_names_labels_that_the_expression_keeps(board: Board, panel: Panel) -> None:  # noqa: ARG001
    of_rules = {"route", "stage", "reason", "result", "target_precision", "instance"}
    for query in panel.queries:
        kept = {
            label.strip()
            for labels in re.findall(r"by \(([^)]*)\)", query.expression)
            for label in labels.split(",")
        }
        assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= kept | of_rules, query.legend


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_fill_their_rows_to_the_edge_and_not_beyond(board: Board) -> None:
    for panels in board.rows.values():
        width = 0
        for panel in panels:
            width += panel.span
            assert width <= COLUMNS, panel.title
            width %= COLUMNS
        assert width == 0
        assert {panel.height for panel in panels} in ({4}, {8})


def test_a_heat_map_has_one_query_and_a_number_too() -> None:
    for _, panel in PANELS:
        if panel.kind in {Kind.HEAT, Kind.NUMBER}:
            assert len(panel.queries) == 1, panel.title


def test_the_value_from_which_a_panel_is_red_is_that_of_an_alert() -> None:
    """All but the number of ready replicas, whose alert looks at each of them."""
    said = " ".join(alert.expression for alert in alerts())
    thresholds = {eval(t) for t in re.findall(r"[<>] ([\d.]+(?: \* \d+)?)", said)}  # noqa: S307  # ours

    for _, panel in PANELS:
        if panel.alert_at is not None and panel.title != "Replicas ready":
            assert panel.alert_at in thresholds, panel.title


def test_every_alert_on_numbers_is_seen_on_a_dashboard() -> None:
    shown = {panel.alert_at for _, panel in PANELS}

    assert {0.05, 0.1, 0.95, 2.5, 5, 90 * 86400} <= shown

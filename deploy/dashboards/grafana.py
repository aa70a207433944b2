"""Grafana's JSON of a dashboard, by its own builders, so that every field is one that it knows."""

import json

from grafana_foundation_sdk.builders import (
    barchart,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.dashboards.panel import SWAPS, Board, Kind, Panel, Query, Unit

SOURCE = looks.DataSourceRef(type_val="prometheus", uid="${datasource}")
TEXT_SIZE = 28
"""Of large numbers, in pixels: six of them side by side on a laptop."""


def to_json(board: Board) -> str:
    """Return the JSON of a dashboard as it is kept in the repository, with a final newline."""
    built = _dashboard(board).build()
    return json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _dashboard(board: Board) -> dashboard.Dashboard:
    made = (
        dashboard.Dashboard(board.title)
        .uid(f"surematch-{board.name}")
        .description(board.description)
        .tags(["surematch"])
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .refresh("30s")
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Source").type("prometheus")
        )
        .with_variable(_replica())
        .annotation(_swaps())
        .link(dashboard.DashboardLink("Surematch").tags(["surematch"]).as_dropdown(False))
    )
    for heading, panels in board.rows.items():
        made.with_row(dashboard.Row(heading))
        for panel in panels:
            made.with_panel(_drawn(panel))
    return made


def _replica() -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("replica")
        .label("Replica")
        .datasource(SOURCE)
        .query('label_values(up{job="surematch"}, instance)')
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _swaps() -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name("Swaps")
        .datasource(SOURCE)
        .enable(True)
        .icon_color("purple")
        .expr(f"{SWAPS} * 1000")  # Grafana counts in milliseconds
        .use_value_for_time(True)
        .title_format("Bundle swapped")
        .text_format("{{instance}}")
    )


def _drawn(panel: Panel) -> Builder[models.Panel]:
    made = _BUILDERS[panel.kind](panel)
    made.title(panel.title).description(panel.description).datasource(SOURCE)
    made.unit(panel.unit).span(panel.span).height(panel.height).thresholds(_thresholds(panel))
    if panel.unit is not Unit.SIMILARITY or panel.kind is not Kind.HEAT:
        made.min(0)
    if panel.top is not None:
        made.max(panel.top)
    for number, query in enumerate(panel.queries):
        made.with_target(_target(query, panel.kind, chr(ord("A") + number)))
    return made


def _target(query: Query, kind: Kind, ref_id: str) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(ref_id)
    if kind is Kind.BARS:
        return made.instant().format(PromQueryFormat.TABLE)
    if kind is Kind.HEAT:
        made.format(PromQueryFormat.HEATMAP)
    return made.range()


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    below, above = ("red", "green") if panel.alert_below else ("green", "red")
    steps = [models.Threshold(value=None, color="blue" if panel.alert_at is None else below)]
    if panel.alert_at is not None:
        steps.append(models.Threshold(value=panel.alert_at, color=above))
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _lines(panel: Panel) -> timeseries.Panel:
    has_line = panel.alert_at is not None and not panel.alert_below
    mode = looks.GraphThresholdsStyleMode.DASHED if has_line else looks.GraphThresholdsStyleMode.OFF
    return (
        timeseries.Panel()
        .line_width(2)
        .fill_opacity(0)
        .show_points(looks.VisibilityMode.NEVER)
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(mode))
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI))
    )


def _shares(panel: Panel) -> timeseries.Panel:
    stacking = common.StackingConfig().mode(looks.StackingMode.NORMAL)
    return _lines(panel).stacking(stacking).fill_opacity(60).line_width(1)


def _number(_panel: Panel) -> stat.Panel:
    newest = common.ReduceDataOptions().calcs(["lastNotNull"])
    return (
        stat.Panel()
        .reduce_options(newest)
        .graph_mode(looks.BigValueGraphMode.AREA)
        .color_mode(looks.BigValueColorMode.VALUE)
        .text(common.VizTextDisplayOptions().value_size(TEXT_SIZE))
    )


def _heat(_panel: Panel) -> heatmap.Panel:
    return heatmap.Panel().calculate(False).cell_gap(0).hide_legend()


def _bars(panel: Panel) -> barchart.Panel:
    names = {f"Value #{chr(ord('A') + n)}": query.legend for n, query in enumerate(panel.queries)}
    steps: list[tuple[str, dict[str, object]]] = [
        ("joinByField", {"byField": "le", "mode": "outer"}),
        ("convertFieldType", {"conversions": [{"targetField": "le", "destinationType": "number"}]}),
        ("sortBy", {"sort": [{"field": "le"}]}),
        ("organize", {"excludeByName": {"Time": True, "Time 1": True, "Time 2": True},
                      "renameByName": names}),
        ("convertFieldType", {"conversions": [{"targetField": "le", "destinationType": "string"}]}),
    ]  # fmt: skip
    made = barchart.Panel().x_field("le").legend(_legend()).fill_opacity(70)
    for name, options in steps:
        made.with_transformation(models.DataTransformerConfig(id_val=name, options=options))
    return made


def _states(_panel: Panel) -> statetimeline.Panel:
    return statetimeline.Panel().show_value(looks.VisibilityMode.NEVER).row_height(0.7)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(looks.LegendDisplayMode.LIST)
        .placement(looks.LegendPlacement.BOTTOM)
    )


_BUILDERS = {
    Kind.LINES: _lines,
    Kind.SHARES: _shares,
    Kind.NUMBER: _number,
    Kind.HEAT: _heat,
    Kind.BARS: _bars,
    Kind.STATES: _states,
}

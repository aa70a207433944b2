"""The JSON in the repository is what the description makes, and what Grafana's types know."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.dashboards.boards import BOARDS
from deploy.dashboards.files import FOLDER, write_all
from deploy.dashboards.panel import Board
from tests.monitoring import DEPLOY, load_yaml

register_default_plugins()


def kept(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in kept(name)["panels"] if panel["type"] != "row"]


def test_the_files_in_the_repository_are_those_that_make_dashboards_writes(tmp_path: Path) -> None:
    written = write_all(tmp_path)

    assert {path.name for path in written} == {path.name for path in FOLDER.iterdir()}
    for path in written:
        same = path.read_bytes() == (FOLDER / path.name).read_bytes()
        assert same, f"{path.name} is not what deploy/dashboards says; run make dashboards"


@pytest.mark.parametrize("name", BOARDS)
def test_grafanas_types_read_every_field_and_write_it_back(name: str) -> None:
    document = kept(name)

    back = json.loads(json.dumps(Dashboard.from_json(document), cls=JSONEncoder))

    assert back == document


@pytest.mark.parametrize(("name", "board"), BOARDS.items())
def test_every_panel_is_there_with_its_description_unit_and_thresholds(
    name: str, board: Board
) -> None:
    assert [panel["title"] for panel in panels(name)] == [panel.title for panel in board.panels]
    for panel in panels(name):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["description"]
        assert defaults["unit"]
        assert defaults["thresholds"]["steps"][0]["value"] is None
        assert [target["expr"] for target in panel["targets"]]


@pytest.mark.parametrize("name", BOARDS)
def test_panels_lie_side_by_side_on_a_grid_of_24_columns(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in kept(name)["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("name", BOARDS)
def test_swaps_are_marked_and_the_source_of_data_can_be_chosen(name: str) -> None:
    document = kept(name)

    (annotation,) = document["annotations"]["list"]
    variables = [variable["name"] for variable in document["templating"]["list"]]
    sources = set(re.findall(r'"uid": "([^"]+)"', json.dumps(document))) - {document["uid"]}

    assert "surematch_index_loaded_timestamp_seconds" in annotation["expr"]
    assert annotation["useValueForTime"] is True
    assert variables == ["datasource", "replica"]
    assert sources == {"${datasource}"}
    assert document["uid"] == f"surematch-{name}"


def test_grafana_is_provisioned_with_these_dashboards_and_a_prometheus() -> None:
    folder = DEPLOY / "grafana" / "provisioning"
    (source,) = load_yaml(folder / "datasources" / "prometheus.yml")["datasources"]
    (provider,) = load_yaml(folder / "dashboards" / "surematch.yml")["providers"]

    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    assert provider["allowUiUpdates"] is False

"""Where the dashboards lie, and how they get there."""

from collections.abc import Mapping
from pathlib import Path

from deploy.dashboards import coverage, service
from deploy.dashboards.grafana import to_json
from deploy.dashboards.panel import Board

FOLDER = Path(__file__).parent.parent / "grafana" / "dashboards"
BOARDS: Mapping[str, Board] = {board.name: board for board in (coverage.BOARD, service.BOARD)}
"""Every dashboard by its name."""


def write_all(folder: Path = FOLDER) -> list[Path]:
    """Write the JSON of every dashboard; return the files."""
    paths = [folder / f"{name}.json" for name in BOARDS]
    for path, board in zip(paths, BOARDS.values(), strict=True):
        path.write_text(to_json(board), encoding="utf-8")
    return paths

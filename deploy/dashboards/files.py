"""Where the dashboards lie, and how they get there."""

from pathlib import Path

from deploy.dashboards.boards import BOARDS
from deploy.dashboards.grafana import to_json

FOLDER = Path(__file__).parent.parent / "grafana" / "dashboards"


def write_all(folder: Path = FOLDER) -> list[Path]:
    """Write the JSON of every dashboard; return the files."""
    paths = [folder / f"{name}.json" for name in BOARDS]
    for path, board in zip(paths, BOARDS.values(), strict=True):
        path.write_text(to_json(board), encoding="utf-8")
    return paths

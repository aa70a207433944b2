"""Draws the dashboards: ``python -m deploy.pictures --prometheus URL``."""

import argparse
import sys
import time
from pathlib import Path

from deploy.dashboards.boards import BOARDS
from deploy.pictures.board import draw_board
from deploy.pictures.prometheus import SCRAPE_SECONDS, Prometheus, PrometheusError, Span

STEPS = 240
"""Values of a series in a picture."""


def main(arguments: list[str] | None = None) -> int:
    """Write ``dashboard_NAME.png`` of each dashboard; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.pictures", description=__doc__)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", metavar="URL")
    parser.add_argument("--minutes", type=float, default=60.0, help="how far back to look")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the pictures")
    parser.add_argument("--end", type=float, help="Unix time to look back from; now")
    given = parser.parse_args(arguments)
    end = given.end or time.time()
    seconds = 60 * given.minutes
    span = Span(end - seconds, end, max(SCRAPE_SECONDS, seconds / STEPS))
    try:
        for name, board in BOARDS.items():
            path = given.out / f"dashboard_{name}.png"
            draw_board(board, Prometheus(given.prometheus), span, path)
            sys.stdout.write(f"{path}\n")
    except PrometheusError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

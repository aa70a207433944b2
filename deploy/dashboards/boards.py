"""All dashboards."""

from collections.abc import Mapping

from deploy.dashboards import coverage, service
from deploy.dashboards.panel import Board

BOARDS: Mapping[str, Board] = {board.name: board for board in (coverage.BOARD, service.BOARD)}
"""Every dashboard by its name."""

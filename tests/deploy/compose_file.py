"""docker-compose.yml with its variables at their defaults, as Compose would read it."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
TEXT = COMPOSE.read_text(encoding="utf-8")


def with_defaults(text: str) -> str:
    """Put each variable's default in its place, as where nothing is set."""
    return re.sub(r"\$\{[A-Z_]+:?-([^}]*)\}", r"\1", text)


def compose_file() -> dict[str, Any]:
    """Return the whole file."""
    return yaml.safe_load(with_defaults(TEXT))

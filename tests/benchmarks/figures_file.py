"""The JSON files of the benchmarks: indented, but what holds no other lists takes one line."""

import json
from pathlib import Path
from typing import Any


def write_figures(figures: dict[str, Any], path: Path) -> None:
    """Write figures for people who read files and for those who compare them."""
    path.write_text(as_text(figures) + "\n", encoding="utf-8")


def as_text(value: Any, indent: str = "") -> str:
    r"""Return figures as JSON.

    >>> as_text({"run": {"p50": 1.5, "p99": 2.0}, "seconds": 3})
    '{\n "run": {"p50": 1.5, "p99": 2.0},\n "seconds": 3\n}'
    """
    deeper = f"{indent} "
    if isinstance(value, dict) and any(isinstance(one, dict | list) for one in value.values()):
        parts = [f"{json.dumps(name)}: {as_text(one, deeper)}" for name, one in value.items()]
        return _block("{", parts, "}", indent)
    if isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        return _block("[", [as_text(one, deeper) for one in value], "]", indent)
    return json.dumps(value, ensure_ascii=False)


def _block(start: str, parts: list[str], end: str, indent: str) -> str:
    return f"{start}\n{indent} " + f",\n{indent} ".join(parts) + f"\n{indent}{end}"

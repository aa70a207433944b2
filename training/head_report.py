"""What became of the heads of the auxiliary objectives: a head at chance taught nothing."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

_LAST_SHARE = 0.1
_ABOVE_CHANCE = 0.05
_SUFFIX = "_accuracy"


def head_lines(log: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each head: how often it was right in the last tenth of the run.

    Args:
        log: lines of a run's log.
    """
    steps = [line["notes"] for line in log if "notes" in line]
    last = steps[-max(1, round(len(steps) * _LAST_SHARE)) :]
    names = sorted({key for notes in last for key in notes if key.endswith(_SUFFIX)})
    return [_line(key.removesuffix(_SUFFIX), last) for key in names]


def _line(name: str, steps: Sequence[Mapping[str, float | None]]) -> str:
    accuracy, chance = _mean(f"{name}{_SUFFIX}", steps), _mean(f"{name}_chance", steps)
    said = f"head {name}: right {accuracy:.3f} of the time at the end, chance is {chance:.3f}"
    if not accuracy > chance + _ABOVE_CHANCE:
        return f"{said}; it learnt nothing: raise objective.heads.learning_rate or train longer"
    return said


def _mean(name: str, steps: Sequence[Mapping[str, float | None]]) -> float:
    """Return the mean of a note over the steps that have one; NaN where none has."""
    values = [value for notes in steps if (value := notes.get(name)) is not None]
    return fmean(values) if values else float("nan")

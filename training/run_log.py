"""The log of a run: one JSON object a line, and the curves drawn from it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # files only; no window system is needed

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator


class RunLog:
    """Appends lines to a JSON-lines file; opening it again drops what a resumed run redoes."""

    def __init__(self, path: Path, *, from_step: int) -> None:
        kept = [line for line in read_log(path) if line["step"] <= from_step]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self._path = path

    def write(self, step: int, **facts: object) -> None:
        """Append one line for the state after ``step`` steps."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **facts}) + "\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; a last line torn by a crash is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def last_figures(path: Path) -> dict[str, Any]:
    """Return steps, and the last loss terms and validation figures; None for what is not there."""
    last = {key: value for line in read_log(path) for key, value in line.items()}
    return {"steps": last.get("step"), **{key: last.get(key) for key in ("terms", "validation")}}


def draw_curves(log: Path, out: Path) -> None:
    """Draw every loss term over the steps of a run, and the validation figures if it has any."""
    lines = read_log(log)
    checks = [line for line in lines if "validation" in line]
    panels = 2 if checks else 1
    figure, axes = plt.subplots(
        1, panels, figsize=(5.5 * panels, 4), layout="constrained", squeeze=False
    )
    _draw_terms(axes[0, 0], [line for line in lines if "terms" in line])
    if checks:
        _draw_validation(axes[0, 1], checks)
    for axis in axes.flat:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    figure.savefig(out, dpi=120)
    plt.close(figure)


def _draw_terms(axis: Axes, steps: Sequence[Mapping[str, Any]]) -> None:
    for name in sorted({name for line in steps for name in line["terms"]}):
        points = [(line["step"], line["terms"][name]) for line in steps if name in line["terms"]]
        axis.plot(*zip(*points, strict=True), label=name, linewidth=1)
    has_positive = any(value > 0 for line in steps for value in line["terms"].values())
    axis.set(xlabel="step", ylabel="loss term, weighted", title="Training")
    axis.set_yscale("log" if has_positive else "linear")  # one lone product has no loss at all
    axis.legend()


def _draw_validation(axis: Axes, checks: Sequence[Mapping[str, Any]]) -> None:
    steps = [line["step"] for line in checks]
    for name, path in _VALIDATION_CURVES.items():
        values = [_at(line["validation"], path) for line in checks]
        shown = [float("nan") if value is None else value for value in values]
        axis.plot(steps, shown, marker="o", label=name)
    axis.set(xlabel="step", ylim=(0, 1.02), title="Validation queries")
    axis.legend(loc="lower right")


_VALIDATION_CURVES = {
    "precision at 1": ("precision_at_1",),
    "recall at 10": ("recall_at_10",),
    "oracle coverage at 95 %": ("oracle_coverage", "0.95"),
}


def _at(figures: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    value: Any = figures
    for key in path:
        value = value[key]
    return value

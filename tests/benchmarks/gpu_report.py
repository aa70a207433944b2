"""The report of a check of a GPU: put together, shown a line each, and judged."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.benchmarks.gpu_environment import Surroundings, cuda_majors
from training.console import first_line

Figures = dict[str, Any]
CORE_PACKAGES = ("onnxruntime-gpu", "faiss-gpu-cuvs", "faiss-gpu", "numpy", "tokenizers")


def run_sections(
    sections: Mapping[str, Callable[[], Figures]], *, tell: Callable[[str], None]
) -> tuple[Figures, list[str]]:
    """Return the figures of all sections that could be measured, and why the others could not.

    Args:
        sections: what measures each, by its name.
        tell: is told the name of each before it begins.
    """
    figures: Figures = {}
    failures: list[str] = []
    for name, measure in sections.items():
        tell(f"{name} …")
        try:
            figures[name] = measure()
        except Exception as error:  # a section that fails must not cost the others' figures
            failures.append(f"{name}: {type(error).__name__}: {first_line(error)}")
    return figures, failures


def put_together(
    found: Surroundings, machine: Figures, figures: Figures, failures: list[str]
) -> Figures:
    """Return the report: machine, cards, versions, figures, and all that failed."""
    tests = figures.get("tests", {})
    noted = [text for section in figures.values() for text in section.get("failures", [])]
    versions = {
        name: found.packages[name]
        for name in sorted({*CORE_PACKAGES, *cuda_majors(found.packages)} & found.packages.keys())
    }
    if tests and not tests["passed"]:
        noted.append("tests: none was run to its end")
    return {
        "machine": machine,
        "cards": [
            {"name": card.name, "driver": card.driver, "memory_mib": card.memory_mib}
            for card in found.cards
        ],
        "versions": versions,
        **figures,
        "failures": [*failures, *noted],
    }


def lines_of(report: Figures) -> list[str]:
    """Return the report for the screen, a line for each figure or group of figures.

    >>> lines_of({"cards": [], "encode": {"cpu": {"tokens_a_second": {"1": 5}}}, "failures": []})
    ['encode, cpu, tokens_a_second: 1 5', 'nothing failed']
    """
    shown = [name for name in report if name not in ("machine", "cards", "versions", "failures")]
    lines = [f"{card['name']}, driver {card['driver']}" for card in report["cards"]]
    for name in shown:
        lines += _lines(name, {k: v for k, v in report[name].items() if k != "failures"})
    lines += [f"failed: {failure}" for failure in report["failures"]]
    return lines if report["failures"] else [*lines, "nothing failed"]


def exit_code(report: Figures) -> int:
    """Return 0 where nothing failed, else 1."""
    return 1 if report["failures"] else 0


def _lines(name: str, value: Figures) -> list[str]:
    groups = {key: inner for key, inner in value.items() if isinstance(inner, dict)}
    plain = [f"{key} {inner}" for key, inner in value.items() if key not in groups]
    own = [f"{name}: {', '.join(plain)}"] if plain else []
    return own + [line for key, inner in groups.items() for line in _lines(f"{name}, {key}", inner)]

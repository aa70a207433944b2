"""A study's parts made by hand: a file, figures, and a runner that trains nothing."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.interruption import StoppedError
from training.study.processes import Finished, Slot

STUDY = """
[study]
name = "Made up"
seeds = [0, 1]
bases = ["soft"]
variants = ["none", "tcm"]
baselines = ["bm25"]
target_precision = 0.95
confidence = 0.95

[common.run]
epochs = 2

[base.soft]
objective.temperature = 0.1

[variant.none.objective.tcm]
weight = 0.0

[variant.tcm.objective.tcm]
weight = 1.0
positive_margin = 0.8
negative_margin = 0.3
"""

SLOT = Slot(threads=1, cores=None)


def write_study(folder: Path, text: str = STUDY) -> Path:
    """Write a study's file; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.toml"
    path.write_text(text)
    return path


def group_figures(**changes: Any) -> dict[str, Any]:
    """Return the figures of one group of queries."""
    return {
        "queries": 100,
        "precision_at_1": 0.9,
        "recall_at_10": 0.99,
        "oracle_coverage": {"0.90": 0.9, "0.95": 0.8, "0.98": 0.5},
        "risk_coverage_area": 0.03125,
        "validation_queries": 100,
        "calibration_queries": 200,
        "threshold": 0.7,
        "calibrated_coverage": 0.7,
        "coverage": 0.7,
        "accepted": 70,
        "wrong": 2,
        "accepted_precision": 68 / 70,
        "is_violated": False,
    } | changes


def without_threshold(**changes: Any) -> dict[str, Any]:
    """Return the figures of a group that no threshold could be promised for."""
    none = {"threshold": None, "calibrated_coverage": 0.0, "coverage": 0.0, "accepted": 0}
    return group_figures(**none, wrong=0, accepted_precision=None, is_violated=None, **changes)


def run_figures(
    variant: str, seed: int, group: Mapping[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """Return the figures of one finished run, the same for every group of queries."""
    figures = dict(group or group_figures())
    return {
        "base": "soft",
        "variant": variant,
        "seed": seed,
        "date": "2026-11-20",
        "machine": {
            "processor": "Abacus 3000",
            "cores": 2,
            "python": "3.11.7",
            "system": "Linux x86_64",
            "torch": "2.13.0",
            "gpu": None,
        },
        "threads": 1,
        "training_seconds": 60.0,
        "peak_memory_mb": 500.0,
        "commit": "0123456789abcdef",
        "seconds_per_step": 0.25,
        "groups": {"all": {**figures, "opis": 0.00125}, "seen": figures, "unseen": figures},
        "curve": [1.0] * 50 + [0.9] * 30 + [None] * 20,
    } | changes


def baseline_figures(name: str) -> dict[str, Any]:
    """Return the figures of one baseline."""
    figures = run_figures("", 0)
    gone = ("base", "variant", "seed", "training_seconds", "peak_memory_mb", "commit")
    return {"baseline": name} | {key: value for key, value in figures.items() if key not in gone}


class FakeRunner:
    """A runner whose children end at once, and write what the real ones would.

    Attributes:
        asked: the words of every child, in order.
    """

    def __init__(self, fails: Callable[[Sequence[str]], bool] = lambda _: False) -> None:
        self.asked: list[list[str]] = []
        self.is_stopping = False
        self._fails = fails
        self._lock = threading.Lock()

    def run(self, words: Sequence[str], *, log: Path, slot: Slot) -> Finished:
        if self.is_stopping:
            message = "stopped"
            raise StoppedError(message)
        with self._lock:
            self.asked.append(list(words))
        if self._fails(words):
            log.write_text("reading\nerror: no such encoder; name another\n\n")
            return Finished(exit_code=1, seconds=1.0, peak_memory_mb=100.0)
        log.write_text(f"threads: {slot.threads}\n")
        if words[0] == "training.study.judging":
            self._judge(words)
        return Finished(exit_code=0, seconds=10.0, peak_memory_mb=200.0)

    def stop(self) -> None:
        self.is_stopping = True

    def kill(self) -> None:
        self.is_stopping = True

    @staticmethod
    def _judge(words: Sequence[str]) -> None:
        out = Path(words[words.index("--out") + 1])
        kept = ("groups", "curve", "commit", "seconds_per_step")
        figures = {key: value for key, value in run_figures("", 0).items() if key in kept}
        out.write_text(json.dumps({**figures, "torch": "2.13.0", "gpu": None}))

    def modules(self) -> list[str]:
        """Return which module each child was, in order."""
        return [" ".join(words[:2]) if words[0] == "training" else words[0] for words in self.asked]

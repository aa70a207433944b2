"""One piece of a study on disk: a run or a baseline, carried out once and remembered."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.contract.errors import SurematchError
from training.command import write_json
from training.config import Config
from training.data.table_writer import write_bytes
from training.study.machine import machine_facts
from training.study.plan import Study
from training.study.processes import Finished, Runner, Slot

FIGURES = "figures.json"
CONFIG = "config.toml"
LOG = "fit.log"
CHECKPOINT = "checkpoint"

_ORIGIN = "origin.json"
_JUDGED = "judged.json"
_SESSIONS = "sessions.jsonl"


class RunFailedError(SurematchError):
    """A child of a study ended with an error; its log says more."""


@dataclass(frozen=True)
class StudyData:
    """The data folder of a study, as its children are told about it."""

    path: Path
    digest: str
    column_map: Sequence[str]


@dataclass(frozen=True)
class Job:
    """A run to train and judge, or a baseline to judge.

    Attributes:
        name: what its folder is called.
        folder: where its files lie.
        config: resolved settings.
        facts: ``base``, ``variant`` and ``seed`` of a run; ``baseline`` of a baseline.
        origin: what decides its weights: digests of settings and data.
        promise: target precision and confidence; others need another judgement only.
        data: what it is trained and judged on.
    """

    name: str
    folder: Path
    config: Config
    facts: Mapping[str, Any]
    origin: Mapping[str, str]
    promise: Mapping[str, float]
    data: StudyData

    @property
    def trains(self) -> bool:
        """Return whether there is something to train."""
        return "baseline" not in self.facts

    def finished_figures(self) -> dict[str, Any] | None:
        """Return its figures if it was carried out with these settings, data and promise."""
        found = _read_json(self.folder / FIGURES)
        wanted = {"origin": self.origin, "promise": self.promise, **self.facts}
        is_same = found is not None and wanted.items() <= found.items()
        return found if is_same else None

    def carry_out(self, children: Runner, slot: Slot) -> dict[str, Any]:
        """Train and judge in children; return the figures, which are written last.

        What is there of a run with other settings or data is moved to ``replaced`` first.

        Raises:
            RunFailedError: if a child fails.
            StoppedError: if a stop was asked for before its next child began.
        """
        self._begin()
        if self.trains and not any(line["exit_code"] == 0 for line in self._sessions()):
            self._fit(children, slot)
        judged = self._judge(children, slot)
        figures = {
            **self.facts,
            "origin": self.origin,
            "promise": self.promise,
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "machine": machine_facts() | {key: judged.pop(key) for key in ("torch", "gpu")},
            "threads": slot.threads,
            **self._costs(),
            **judged,
        }
        write_json(self.folder / FIGURES, figures)
        return figures

    def _begin(self) -> None:
        """Make its folder, or go on in it if it is of this very run."""
        if _read_json(self.folder / _ORIGIN) == self.origin:
            return
        if self.folder.exists():
            replaced = self.folder.parents[1] / "replaced"
            replaced.mkdir(exist_ok=True)
            number = sum(1 for _ in replaced.glob(f"{self.name}.*"))
            self.folder.rename(replaced / f"{self.name}.{number}")
        self.folder.mkdir(parents=True)
        write_bytes(self.folder / CONFIG, self.config.to_toml().encode())
        write_json(self.folder / _ORIGIN, self.origin)

    def _fit(self, children: Runner, slot: Slot) -> None:
        words = ["training", "fit", *self._data_words(), "--out", str(self.folder / CHECKPOINT)]
        done = children.run(words, log=self.folder / LOG, slot=slot)
        session = {
            "exit_code": done.exit_code,
            "seconds": round(done.seconds, 3),
            "peak_memory_mb": round(done.peak_memory_mb, 1),
        }
        with (self.folder / _SESSIONS).open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(session)}\n")
        self._must_have_succeeded(done)

    def _judge(self, children: Runner, slot: Slot) -> dict[str, Any]:
        source = (
            ["--checkpoint", str(self.folder / CHECKPOINT)]
            if self.trains
            else ["--baseline", str(self.facts["baseline"])]
        )
        promise = [
            *("--target-precision", str(self.promise["target_precision"])),
            *("--confidence", str(self.promise["confidence"])),
        ]
        out = self.folder / _JUDGED
        words = ["training.study.judging", *self._data_words(), *source, *promise]
        done = children.run([*words, "--out", str(out)], log=self.folder / LOG, slot=slot)
        self._must_have_succeeded(done)
        return json.loads(out.read_bytes())

    def _data_words(self) -> list[str]:
        mapping = [word for item in self.data.column_map for word in ("--map", item)]
        return ["--data", str(self.data.path), *mapping, "--config", str(self.folder / CONFIG)]

    def _must_have_succeeded(self, done: Finished) -> None:
        if done.exit_code == 0:
            return
        if done.exit_code < 0:
            message = f"ended by signal {-done.exit_code}; is there memory enough?"
            raise RunFailedError(message)
        lines = (self.folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        said = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        raise RunFailedError(said.strip().removeprefix("error: "))

    def _sessions(self) -> list[dict[str, Any]]:
        path = self.folder / _SESSIONS
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def _costs(self) -> dict[str, float]:
        """Return time and memory of the training, over all sessions it took."""
        sessions = self._sessions()
        if not sessions:
            return {}
        return {
            "training_seconds": sum(line["seconds"] for line in sessions),
            "peak_memory_mb": max(line["peak_memory_mb"] for line in sessions),
        }


def jobs_of(study: Study, data: StudyData, out: Path) -> list[Job]:
    """Return what a study consists of, in the order it is carried out: baselines first."""
    section = study.section
    promise = {"target_precision": section.target_precision, "confidence": section.confidence}

    def job(kind: str, name: str, config: Config, facts: Mapping[str, Any]) -> Job:
        origin = {"config_sha256": config.digest(), "data_sha256": data.digest}
        return Job(name, out / kind / name, config, facts, origin, promise, data)

    baselines = [
        job("baselines", name, study.baseline_config, {"baseline": name})
        for name in section.baselines
    ]
    runs = [
        job(
            "runs",
            run.name,
            run.config,
            {"base": run.base, "variant": run.variant, "seed": run.seed},
        )
        for run in study.runs
    ]
    return [*baselines, *runs]


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None

"""What a study has found so far, from its finished jobs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from training.study.plan import StudySection
from training.study.summary import GROUPS, differences, of_recipe, summarise


@dataclass
class StudyResults:
    """Figures of finished jobs and errors of failed ones.

    Attributes:
        planned_runs: how many runs the whole study has.
        runs: figures of finished runs.
        baselines: figures by name.
        failures: one-line errors by job name.
    """

    section: StudySection
    data_path: str
    data_digest: str
    planned_runs: int
    runs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    failures: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, figures: Mapping[str, Any]) -> None:
        """Take in the figures of a finished job."""
        if "baseline" in figures:
            found = self.baselines | {figures["baseline"]: dict(figures)}
            self.baselines = {name: found[name] for name in self.section.baselines if name in found}
        else:
            self.runs.append(dict(figures))
            self.runs.sort(key=self._place)

    def recipes(self) -> list[tuple[str, str]]:
        """Return the pairs of base and variant that have a finished run, in the file's order."""
        return list(dict.fromkeys((run["base"], run["variant"]) for run in self.runs))

    def machines(self) -> list[str]:
        """Return the machines the figures come from, in words, none twice."""
        jobs = [*self.runs, *self.baselines.values()]
        return sorted({_in_words(job["machine"], job["threads"]) for job in jobs})

    def dates(self) -> str:
        """Return the first and the last day on which a job was finished."""
        dates = sorted(job["date"] for job in [*self.runs, *self.baselines.values()])
        return " to ".join(dict.fromkeys([*dates[:1], *dates[-1:]])) or "none yet"

    def commits(self) -> str:
        """Return the commits the encoders were trained with."""
        commits = sorted({str(run["commit"])[:12] for run in self.runs})
        return ", ".join(commits) or "none yet"

    def figures(self) -> dict[str, Any]:
        """Return everything for a JSON file: the study, its runs, and their summaries."""
        return {
            "study": self.section.model_dump(mode="json"),
            "data": {"path": self.data_path, "sha256": self.data_digest},
            "planned_runs": self.planned_runs,
            "machines": self.machines(),
            "dates": self.dates(),
            "commits": self.commits(),
            "summaries": [self._summary(base, variant) for base, variant in self.recipes()],
            "baselines": self.baselines,
            "runs": self.runs,
            "failures": self.failures,
        }

    def _summary(self, base: str, variant: str) -> dict[str, Any]:
        runs = of_recipe(self.runs, base, variant)
        first = self.section.variants[0]
        references = of_recipe(self.runs, base, first)
        groups = {name: asdict(summarise(runs, name)) for name in GROUPS}
        if variant != first:
            for name, figures in groups.items():
                found = differences(runs, references, name)
                figures["differences"] = {key: asdict(value) for key, value in found.items()}
        return {"base": base, "variant": variant, "compared_with": first, "groups": groups}

    def _place(self, run: Mapping[str, Any]) -> tuple[int, int, int]:
        section = self.section
        return (
            section.bases.index(run["base"]),
            section.variants.index(run["variant"]),
            section.seeds.index(run["seed"]),
        )


def _in_words(machine: Mapping[str, Any], threads: int) -> str:
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {threads} threads a run{gpu}, "
        f"{machine['system']}, Python {machine['python']}, torch {machine['torch']}"
    )

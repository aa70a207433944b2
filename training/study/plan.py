"""A study's file: which recipes are compared, with which seeds, against which baselines."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import Field, ValidationError, model_validator

from service.contract.errors import ConfigError, UsageError
from training.config import Config, lay_over, load_config, read_toml
from training.config_fields import Section

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9+_.-]*$")]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Settings = dict[str, Any]

_TABLES = ("study", "common", "base", "variant")


class StudySection(Section):
    """What is run and what is promised; ``variants`` are compared with the first of them."""

    name: Annotated[str, Field(min_length=1)]
    description: tuple[str, ...] = ()
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    bases: Annotated[tuple[Name, ...], Field(min_length=1)]
    variants: Annotated[tuple[Name, ...], Field(min_length=1)]
    baselines: tuple[Literal["tfidf", "bm25", "untrained"], ...]
    target_precision: Share
    confidence: Share

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        names = [f"{base}-{variant}" for base in self.bases for variant in self.variants]
        for what, values in (
            ("seeds", self.seeds),
            ("baselines", self.baselines),
            ("pairs of base and variant", names),
        ):
            if len(set(values)) < len(values):
                message = f"two {what} are the same: {', '.join(map(str, values))}"
                raise ValueError(message)
        return self


class StudyFile(Section):
    """The tables of a study's file; all but the first hold settings of the recipe."""

    study: StudySection
    common: Settings = Field(default_factory=dict)
    base: dict[str, Settings]
    variant: dict[str, Settings]

    @model_validator(mode="after")
    def _names_have_tables(self) -> Self:
        for kind, names, tables in (
            ("base", self.study.bases, self.base),
            ("variant", self.study.variants, self.variant),
        ):
            missing = [name for name in names if name not in tables]
            if missing:
                message = f'{kind} "{missing[0]}" has no table; add [{kind}."{missing[0]}"]'
                raise ValueError(message)
        return self


@dataclass(frozen=True)
class PlannedRun:
    """One training run of a study."""

    base: str
    variant: str
    seed: int
    config: Config

    @property
    def name(self) -> str:
        """Return what its folder is called."""
        return f"{self.base}-{self.variant}-{self.seed}"


@dataclass(frozen=True)
class Study:
    """A study with all its settings resolved.

    Attributes:
        section: what the file says under ``[study]``.
        runs: in the order they are carried out: by base, then seed, then variant.
        baseline_config: the settings that baselines share with the runs.
    """

    section: StudySection
    runs: tuple[PlannedRun, ...]
    baseline_config: Config


def load_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Return the study of a TOML file, changed by ``section.key=value`` items.

    An item whose section is a table of the study's file (``study.seeds=[0]``) changes the file;
    any other changes the recipe of every run, after its base and variant did.

    Raises:
        ConfigError: if the file cannot be read, a key is unknown, a name has no table or a
            value is out of range.
    """
    fields = read_toml(path, example="training/configs/studies/two-cores.toml")
    of_file = [item for item in overrides if item.partition(".")[0].strip() in _TABLES]
    for item in of_file:
        lay_over(fields, _parse(item))
    of_runs = [item for item in overrides if item not in of_file]
    file = _validated(fields, path)
    section = file.study
    runs = [
        PlannedRun(base, variant, seed, _resolved(file, (base, variant), seed, of_runs, path))
        for base in section.bases
        for seed in section.seeds
        for variant in section.variants
    ]
    baseline_config = load_config(overrides=[*_items(file.common), *of_runs])
    return Study(section, tuple(runs), baseline_config)


def _resolved(
    file: StudyFile, names: tuple[str, str], seed: int, overrides: Sequence[str], path: Path
) -> Config:
    base, variant = names
    items = [
        *_items(file.common),
        *_items(file.base[base]),
        *_items(file.variant[variant]),
        *overrides,
    ]
    if any(item.startswith("run.seed=") for item in items):
        message = f"{path}: run.seed is what study.seeds says; set it there alone"
        raise ConfigError(message)
    try:
        return load_config(overrides=[*items, f"run.seed={seed}"])
    except UsageError:
        raise
    except ConfigError as error:
        message = f'{path}: base "{base}" with variant "{variant}": {error}'
        raise ConfigError(message) from error


def _items(settings: Mapping[str, Any], *above: str) -> Iterator[str]:
    """Yield nested settings as ``section.key=value``, the value as TOML."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _items(value, *above, key)
        else:
            literal = tomli_w.dumps({"value": value}).partition("=")[2].strip()
            yield f"{'.'.join((*above, key))}={literal}"


def _validated(fields: Settings, path: Path) -> StudyFile:
    try:
        return StudyFile.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        message = f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}"
        raise ConfigError(message) from error


def _parse(item: str) -> Settings:
    try:
        return tomllib.loads(item)
    except tomllib.TOMLDecodeError as error:
        message = f"--set {item!r} is not TOML ({error}); for example study.seeds=[0]"
        raise UsageError(message) from error

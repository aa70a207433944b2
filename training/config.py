"""A run's settings: one TOML file, one frozen model, nothing that decides a result left out."""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from service.contract.errors import ConfigError, UsageError
from training.config_fields import NotNegative, Positive, Ratio, Section
from training.config_objective import ObjectiveSection
from training.config_smaller import (
    ALL,
    DistillationSection,
    KeptLayers,
    Layers,
    MatryoshkaSection,
    without_what_is_off,
)

RECOMMENDED = Path(__file__).parent / "configs" / "recommended.toml"

Pooling = Literal["mean", "cls"]


class DataSection(Section):
    """Which columns of a product are encoded."""

    product_text: Annotated[tuple[str, ...], Field(min_length=1)]


class EncoderSection(Section):
    """Where the first weights come from, how they are pooled, and how much text they read."""

    base: Annotated[str, Field(min_length=1)]
    pooling: Pooling
    max_tokens: Annotated[int, Field(ge=4, le=8192)]
    layers: Layers = ALL
    keep_layers: KeptLayers = "spread"


class BatchSection(Section):
    """Which queries share a step, and which products they are compared with."""

    clusters_of: Literal["products", "queries"]
    neighbours: Annotated[int, Field(ge=1)]
    start_ratio: Ratio
    refresh_every_ratio: Annotated[float, Field(gt=0, le=1)]
    double_every_ratio: Ratio
    positives: Literal["uniform", "inverse_propensity"]
    products: Literal["in_batch", "mined", "all"]
    mined: Annotated[int, Field(ge=1)]


class OptimiserSection(Section):
    """AdamW with linear warm-up and linear decay to zero; heads and vectors have own rates."""

    learning_rate: Positive
    weight_decay: NotNegative
    warmup_ratio: Ratio
    max_gradient_norm: Positive


class RunSection(Section):
    """Length, batch, machine and seed of a run."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=2)]
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "float32", "bfloat16", "float16"]
    tokens_with_gradients: Annotated[int, Field(ge=0)]
    checkpoint_every_steps: Annotated[int, Field(ge=1)]
    validate_every_epochs: Annotated[int, Field(ge=0)]


class Config(Section):
    """Everything that decides what a training run gives."""

    data: DataSection
    encoder: EncoderSection
    objective: ObjectiveSection
    batches: BatchSection
    optimiser: OptimiserSection
    run: RunSection
    distillation: DistillationSection = DistillationSection()
    matryoshka: MatryoshkaSection = MatryoshkaSection()

    @model_serializer(mode="wrap")
    def _resolved(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_what_is_off(handler(self))

    def to_toml(self) -> str:
        """Return the resolved settings as TOML."""
        return tomli_w.dumps(self.model_dump(mode="json"))

    def digest(self) -> str:
        """Return the SHA-256 of the resolved settings."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_config(path: Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Return the recommended recipe, changed by a TOML file and ``section.key=value`` items.

    Raises:
        ConfigError: if the file cannot be read, a key is unknown or a value is out of range.
    """
    fields = read_toml(RECOMMENDED)
    if path is not None:
        lay_over(fields, read_toml(path))
    for override in overrides:
        lay_over(fields, _parse_override(override))
    return parse_config(fields, source=str(path or "the recommended recipe"))


def read_toml(path: Path, *, example: str = RECOMMENDED.name) -> dict[str, Any]:
    """Return the fields of a TOML file; ``example`` names one that is right.

    Raises:
        ConfigError: if the file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); name a TOML file"
        raise ConfigError(message) from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        message = f"{path} is not TOML ({error}); see {example} for an example"
        raise ConfigError(message) from error


def parse_config(fields: Mapping[str, Any], *, source: str) -> Config:
    """Return the settings in ``fields``, all of them.

    Raises:
        ConfigError: if a key is missing or unknown, or a value is out of range.
    """
    try:
        return Config.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        given = (
            ""
            if first["type"] in ("missing", "extra_forbidden")
            else f" (found {first['input']!r})"
        )
        message = f"{source}: {where}: {first['msg']}{given}; see {RECOMMENDED.name} for all keys"
        raise ConfigError(message) from error


def _parse_override(override: str) -> dict[str, Any]:
    """Return ``a.b=value`` as nested fields; a value that is not TOML is taken as text."""
    key, separator, text = override.partition("=")
    if not separator or not all(part.strip() for part in key.split(".")):
        message = f"--set {override!r} is not section.key=value, for example run.epochs=8"
        raise UsageError(message)
    try:
        value: Any = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for part in reversed(key.split(".")):
        value = {part.strip(): value}
    return value


def lay_over(fields: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Put ``changes`` into ``fields``, table by table; what they do not name stays."""
    for key, value in changes.items():
        below = fields.get(key)
        if isinstance(below, dict) and isinstance(value, Mapping):
            lay_over(below, value)
        else:
            fields[key] = value

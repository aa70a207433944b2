"""The part of a run's settings that makes its encoder smaller; each is off unless asked for.

What is off stays out of the resolved settings and of their digest, so that a recipe from before
these settings existed is the same recipe still.
"""

from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from training.config_fields import Count, Positive, Ratio, Section

ALL: Literal["all"] = "all"
NO_TEACHER = "none"

KeptLayers = Literal["spread", "first"]


def _a_number_of_layers(layers: object) -> object:
    if layers == ALL:
        return layers
    if isinstance(layers, int) and not isinstance(layers, bool) and layers >= 1:
        return layers
    message = 'it must be "all" or a number of layers from 1 on'
    raise ValueError(message)


Layers = Annotated[Literal["all"] | int, BeforeValidator(_a_number_of_layers)]


class DistillationSection(Section):
    """A frozen teacher whose embeddings the encoder follows; teacher "none" turns it off."""

    teacher: Annotated[str, Field(min_length=1)] = NO_TEACHER
    form: Literal["embedding", "similarity"] = "similarity"
    weight: Positive = 1.0
    temperature: Positive = 0.05
    alone_ratio: Ratio = 0.0
    cache_mb: Annotated[int, Field(ge=0)] = 1024

    @property
    def is_on(self) -> bool:
        """Return whether there is a teacher."""
        return self.teacher != NO_TEACHER


class MatryoshkaSection(Section):
    """Prefixes of the embeddings that are trained beside the whole; without any it is off."""

    dims: tuple[Count, ...] = ()
    weights: tuple[Positive, ...] = ()

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if any(later <= earlier for earlier, later in pairwise(self.dims)):
            message = f"dims {list(self.dims)} must increase from one to the next"
            raise ValueError(message)
        if self.weights and len(self.weights) != len(self.dims):
            message = (
                f"weights has {len(self.weights)} numbers, dims has {len(self.dims)}; give one "
                "weight for each, or none at all"
            )
            raise ValueError(message)
        return self

    def weighted(self) -> list[tuple[int, float]]:
        """Return each dim with the weight of its terms; 1 where no weights are given."""
        return list(zip(self.dims, self.weights or (1.0,) * len(self.dims), strict=True))


def without_what_is_off(fields: dict[str, Any]) -> dict[str, Any]:
    """Return resolved settings without those of this module that are off."""
    fields = dict(fields)
    if fields["encoder"]["layers"] == ALL:
        off = ("layers", "keep_layers")
        fields["encoder"] = {k: v for k, v in fields["encoder"].items() if k not in off}
    if fields["distillation"]["teacher"] == NO_TEACHER:
        del fields["distillation"]
    if not fields["matryoshka"]["dims"]:
        del fields["matryoshka"]
    return fields

"""Golden examples: inputs with known answers, replayed at export and before serving."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from service.contract.decision import Reason
from service.contract.errors import BundleCorruptError
from service.contract.manifest import GoldenTolerance


class GoldenExample(BaseModel):
    """One text with everything the served path makes of it.

    Attributes:
        text: the raw query text.
        ids: its token ids.
        embedding: its unit vector; empty for a blank text.
        product_id: the best product; None for a blank text.
        similarity: cosine with the best product; None for a blank text.
        reason: why it was accepted or sent to review.
        score: what the order follows, where that is not the similarity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    ids: tuple[int, ...]
    embedding: tuple[float, ...]
    product_id: str | None
    similarity: float | None
    reason: Reason
    score: float | None = Field(default=None, exclude_if=lambda score: score is None)


SCORE_ROOM = 10
"""A score may be off by so many times as much as a similarity, which it may be steeper than."""


def write_golden(path: Path, examples: Iterable[GoldenExample]) -> None:
    """Write one JSON object a line."""
    lines = [example.model_dump_json() + "\n" for example in examples]
    path.write_text("".join(lines), encoding="utf-8")


def read_golden(path: Path) -> list[GoldenExample]:
    """Read what `write_golden` wrote.

    Raises:
        BundleCorruptError: if a line is not a golden example, or there is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        return [GoldenExample.model_validate_json(line) for line in lines]
    except (OSError, ValueError) as error:  # pydantic's and Unicode's errors are ValueErrors
        message = f"{path} is no file of golden examples; build the bundle again"
        raise BundleCorruptError(message) from error


def differences(
    recorded: Sequence[GoldenExample],
    replayed: Sequence[GoldenExample],
    tolerance: GoldenTolerance,
) -> list[str]:
    """Return one line per example whose replay is not the recorded answer; none is good."""
    pairs = zip(recorded, replayed, strict=True)
    found = ((row, _difference(old, new, tolerance)) for row, (old, new) in enumerate(pairs))
    return [f"golden example {row}: {what}" for row, what in found if what]


def _difference(old: GoldenExample, new: GoldenExample, tolerance: GoldenTolerance) -> str:
    if new.ids != old.ids:
        return f"token ids {new.ids} are not {old.ids}"
    if not _close(old.embedding, new.embedding, tolerance.embedding):
        return f"embedding is off by more than {tolerance.embedding}"
    if new.product_id != old.product_id:
        return f"best product {new.product_id!r} is not {old.product_id!r}"
    if not _close(_values(old.similarity), _values(new.similarity), tolerance.similarity):
        return f"similarity {new.similarity} is not {old.similarity}"
    if not _close(_values(old.score), _values(new.score), SCORE_ROOM * tolerance.similarity):
        return f"score {new.score} is not {old.score}"
    return "" if new.reason is old.reason else f"reason {new.reason} is not {old.reason}"


def _values(number: float | None) -> tuple[float, ...]:
    return () if number is None else (number,)


def _close(old: Sequence[float], new: Sequence[float], tolerance: float) -> bool:
    if len(old) != len(new):
        return False
    return bool(np.all(np.abs(np.subtract(old, new)) <= tolerance))  # False where one is NaN

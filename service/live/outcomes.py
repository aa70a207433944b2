"""How a request to serve another bundle can end."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from service.contract.errors import BundleError, SurematchError


class SwapStatus(StrEnum):
    """What became of a request to serve a bundle."""

    SWAPPED = "swapped"
    UNCHANGED = "unchanged"  # it was served already
    SUPERSEDED = "superseded"  # a later request, or a roll back, was done in its place


@dataclass(frozen=True)
class SwapOutcome:
    """The end of a request that failed nothing.

    Attributes:
        status: what became of the bundle that was asked for.
        bundle_id: the bundle that answers now.
        seconds: how long it took to open and warm up what was opened.
    """

    status: SwapStatus
    bundle_id: str
    seconds: float


@dataclass(frozen=True)
class Refusal:
    """A bundle that was not taken, with the reason for people."""

    folder: Path
    reason: str
    at: datetime


class RefusedError(BundleError):
    """A bundle was not taken; what was served before is served on."""


class NoPreviousError(SurematchError):
    """There is no bundle in memory to go back to."""

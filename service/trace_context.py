"""The trace that a request belongs to, as the header ``traceparent`` of W3C Trace Context."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

TRACEPARENT = "traceparent"
MAX_CHARACTERS = 512
"""Longer headers of a future version are not read."""

_VERSION_00 = re.compile("(00)-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_FUTURE_VERSION = re.compile("([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace.

    Attributes:
        trace_id: 32 hexadecimal digits, not all zero.
        parent_id: 16 hexadecimal digits, not all zero: the span that whoever gets this is below.
        sampled: whether the spans of this trace are recorded.
    """

    trace_id: str
    parent_id: str
    sampled: bool

    @classmethod
    def begin(cls) -> "TraceContext":
        """Return the first span of a new trace."""
        return cls(trace_id=_random_id(16), parent_id=_random_id(8), sampled=True)

    def child(self) -> "TraceContext":
        """Return a new span of the same trace."""
        return replace(self, parent_id=_random_id(8))

    def header(self) -> str:
        """Return the value of ``traceparent``."""
        return f"00-{self.trace_id}-{self.parent_id}-{'01' if self.sampled else '00'}"


def read_traceparent(values: Sequence[str]) -> TraceContext | None:
    """Return where in its trace a caller is; None if it does not say so, or not validly.

    A version from the future is read as far as this one goes, as its rules demand.

    Args:
        values: the header's values; more than one are as good as none.

    Source:
        W3C Trace Context, sections 3.2.2 (fields) and 4.3 (what to do with other versions).
    """
    value = values[0].strip(" \t") if len(values) == 1 else ""
    form = _VERSION_00 if value.startswith("00") else _FUTURE_VERSION
    match = form.fullmatch(value) if len(value) <= MAX_CHARACTERS else None
    if match is None:
        return None
    version, trace_id, parent_id, flags = match.groups()
    if version == "ff" or not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return TraceContext(trace_id, parent_id, sampled=bool(int(flags, 16) & _SAMPLED))


def _random_id(size: int) -> str:
    """Return ``size`` random bytes as hexadecimal digits, not all zero."""
    return f"{1 + secrets.randbelow(256**size - 1):0{2 * size}x}"

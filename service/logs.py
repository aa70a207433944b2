"""Log lines: one JSON object a line on standard error, with the facts of ``extra``."""

import json
import logging
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TextIO

MAX_CHARACTERS = 2000
"""Longest message, and longest value of ``extra``; of what is longer the middle is left out."""
MAX_TRACEBACK_CHARACTERS = 20_000

_NOT_EXTRA = frozenset(logging.makeLogRecord({}).__dict__) | {
    *("message", "asctime", "taskName"),
    "color_message",  # uvicorn's second copy of the message
}
"""Attributes of every record; whatever else a record has came in as ``extra``."""
_NO_FACTS: Mapping[str, str] = MappingProxyType({})
_request: ContextVar[Mapping[str, str]] = ContextVar("request", default=_NO_FACTS)


class JsonFormatter(logging.Formatter):
    """Turns a record into one line of JSON; characters beyond ASCII are escaped.

    Nothing in a record can break its line: what is no JSON is written as text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return time, level, logger, message, the request's ids, the extras, a traceback."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _capped(_message_of(record), MAX_CHARACTERS),
        }
        extras = {str(k): v for k, v in record.__dict__.items() if k not in _NOT_EXTRA}
        facts = {**_request.get(), **extras}
        line |= {name: _as_json(value) for name, value in facts.items() if name not in line}
        if record.exc_info:
            traceback = self.formatException(record.exc_info)
            line["exception"] = _capped(traceback, MAX_TRACEBACK_CHARACTERS)
        return json.dumps(line)


@contextmanager
def log_context(*, request_id: str, trace_id: str) -> Generator[None]:
    """Put both ids on every line that the block logs, in this task and those it starts.

    Threads of a worker pool serve many requests at a time; their lines carry none.
    """
    token = _request.set({"request_id": request_id, "trace_id": trace_id})
    try:
        yield
    finally:
        _request.reset(token)


def configure_logs(level: str, *, stream: TextIO | None = None) -> None:
    """Send every log line from ``level`` up to standard error, or to ``stream``, as JSON."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # we say ourselves what it would say


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # whatever its arguments do, a library's line must be written
        return f"{_as_text(record.msg)} (its arguments do not fit)"


def _as_json(value: object) -> object:
    """Return a value as something that JSON has a form for, of bounded length."""
    if isinstance(value, str):
        return _capped(value, MAX_CHARACTERS)
    try:
        text = json.dumps(value, default=_as_text, allow_nan=False)
    except (TypeError, ValueError, RecursionError):  # odd keys, NaN, a circle, too deep
        return _capped(_as_text(value), MAX_CHARACTERS)
    return json.loads(text) if len(text) <= MAX_CHARACTERS else _capped(text, MAX_CHARACTERS)


def _as_text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # whatever a foreign object does, its line must be written
        return f"<{type(value).__name__} without text: {type(error).__name__}>"


def _capped(text: str, most: int) -> str:
    """Return a text with its middle left out if it has more than ``most`` characters."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} [{len(text) - 2 * half} characters left out] {text[-half:]}"

"""Log lines: one JSON object a line on standard error, with the facts of ``extra``."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

_NOT_EXTRA = frozenset(logging.makeLogRecord({}).__dict__) | {
    *("message", "asctime", "taskName"),
    "color_message",  # uvicorn's second copy of the message
}
"""Attributes of every record; whatever else a record has came in as ``extra``."""


class JsonFormatter(logging.Formatter):
    """Turns a record into one line of JSON; characters beyond ASCII are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return time, level, logger and message, then the extras, then a traceback if any."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {k: v for k, v in record.__dict__.items() if k not in _NOT_EXTRA}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logs(level: str, *, stream: TextIO | None = None) -> None:
    """Send every log line from ``level`` up to standard error, or to ``stream``, as JSON."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # we say ourselves what it would say

import io
import json
import logging
from collections.abc import Generator
from typing import Any

import pytest

from service.logs import JsonFormatter, configure_logs


@pytest.fixture
def stream() -> Generator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    uvicorn_level = logging.getLogger("uvicorn").level
    root.handlers = []
    stream = io.StringIO()
    configure_logs("info", stream=stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers, root.level = handlers, level
    logging.getLogger("uvicorn").setLevel(uvicorn_level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_the_facts_of_extra(stream: io.StringIO) -> None:
    logging.getLogger("service.app").info(
        "bundle opened", extra={"bundle_id": "b-1", "products": 8}
    )

    (line,) = lines(stream)

    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "service.app",
        "message": "bundle opened",
        "bundle_id": "b-1",
        "products": 8,
    }


@pytest.mark.parametrize("nasty", ["two\nlines", '"quoted"', "\ud800", "\x00", "\u2028", "é"])
def test_nothing_a_client_sends_can_break_a_line(nasty: str, stream: io.StringIO) -> None:
    logging.getLogger("x").info("%s", nasty, extra={"request_id": nasty})

    assert stream.getvalue().isascii()
    assert len(stream.getvalue().splitlines()) == 1
    assert lines(stream)[0]["request_id"] == nasty


def test_an_exception_is_part_of_its_line(stream: io.StringIO) -> None:
    try:
        int("three")
    except ValueError:
        logging.getLogger("x").exception("failed")

    (line,) = lines(stream)

    assert "Traceback" in line["exception"]
    assert line["level"] == "error"


def test_a_value_that_json_does_not_know_is_written_as_text() -> None:
    record = logging.makeLogRecord({"msg": "m", "folder": object})

    assert json.loads(JsonFormatter().format(record))["folder"] == "<class 'object'>"


def test_lines_below_the_level_are_left_out(stream: io.StringIO) -> None:
    logging.getLogger("x").debug("detail")
    logging.getLogger("uvicorn.error").info("what uvicorn says of itself")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")

    assert [line["message"] for line in lines(stream)] == ["Invalid HTTP request received."]

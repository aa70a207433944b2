import asyncio
import io
import json
import logging
import math
import threading
import warnings
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.logs import (
    MAX_CHARACTERS,
    MAX_TRACEBACK_CHARACTERS,
    JsonFormatter,
    configure_logs,
    log_context,
)


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


class Silent:
    """Something that cannot be asked for its text."""

    def __str__(self) -> str:
        raise KeyError


class Plain:
    def __str__(self) -> str:
        return "plain"


def circle() -> list[object]:
    ring: list[object] = []
    ring.append(ring)
    return ring


def deep() -> list[object]:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


def line_of(**record: object) -> dict[str, Any]:
    """Return the line of a record, read by a parser that takes nothing but JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    line = JsonFormatter().format(logging.makeLogRecord({"msg": "m", **record}))
    assert len(line.splitlines()) == 1
    return json.loads(line, parse_constant=refuse)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (object, "<class 'object'>"),
        (Plain(), "plain"),
        ([Plain()], ["plain"]),
        ({1: (2, None)}, {"1": [2, None]}),
        ({("a", 1): 2}, "{('a', 1): 2}"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        ([math.nan], "[nan]"),
        (b"bytes", "b'bytes'"),
        (Silent(), "<Silent without text: KeyError>"),
        ([Silent()], ["<Silent without text: KeyError>"]),
        (circle(), "[[...]]"),
        (deep(), "<list without text: RecursionError>"),
        pytest.param(10**5000, "<int without text: ValueError>", id="number"),
        (True, True),
        (0.25, 0.25),
        (None, None),
    ],
)
def test_a_value_that_json_does_not_know_is_written_as_text(value: object, written: object) -> None:
    assert line_of(fact=value)["fact"] == written


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.sets(st.integers())
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), inner)
    ),
)


@given(st.text(), anything)
def test_no_extra_breaks_a_line(message: str, value: object) -> None:
    line = line_of(msg=message, args=(), fact=value)

    assert line["message"] == message
    assert "fact" in line


@pytest.mark.parametrize(
    ("message", "written"),
    [("%d of %d", "%d of %d"), (Silent(), "<Silent without text: KeyError>")],
)
def test_arguments_that_do_not_fit_their_message_lose_no_line(
    message: object, written: str
) -> None:
    line = line_of(msg=message, args=("one",))

    assert line["message"] == f"{written} (its arguments do not fit)"


def test_an_extra_cannot_replace_what_every_line_says() -> None:
    line = line_of(levelname="INFO", name="x", time="never", level="none", logger="forged")

    assert (line["message"], line["level"], line["logger"]) == ("m", "info", "x")
    assert line["time"] != "never"


def test_a_value_of_any_length_makes_a_line_of_bounded_length() -> None:
    longest = "a" + "b" * (MAX_CHARACTERS - 2) + "c"

    line = line_of(
        msg="m" * 10**6, fact="<" + "f" * 10**6 + ">", rows=list(range(10**5)), whole=longest
    )

    assert line["whole"] == longest
    assert line["fact"].startswith("<fff")
    assert line["fact"].endswith("fff>")
    assert f"[{10**6 + 2 - MAX_CHARACTERS} characters left out]" in line["fact"]
    assert line["rows"].startswith("[0, 1, 2, ")
    assert all(len(line[name]) < MAX_CHARACTERS + 50 for name in ("message", "fact", "rows"))


def test_a_traceback_of_any_length_keeps_its_begin_and_its_end(stream: io.StringIO) -> None:
    try:
        float("x" * 10**6 + " the end")
    except ValueError:
        logging.getLogger("x").exception("failed")

    traceback = lines(stream)[0]["exception"]

    assert traceback.startswith("Traceback")
    assert traceback.endswith("the end'")
    assert len(traceback) < MAX_TRACEBACK_CHARACTERS + 50


def test_a_warning_of_a_library_is_a_line_too(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)  # pytest has put its own catcher in between
        warnings.warn("this will go", DeprecationWarning, stacklevel=1)

        (line,) = lines(stream)

    assert line["level"] == "warning"
    assert "DeprecationWarning: this will go" in line["message"]


def test_every_line_of_a_request_carries_its_ids_and_no_other_line_does(
    stream: io.StringIO,
) -> None:
    logger = logging.getLogger("x")
    logger.info("before")
    with log_context(request_id="r-1", trace_id="t-1"):
        logger.info("within", extra={"products": 8})
    logger.info("after")

    before, within, after = lines(stream)

    assert (within["request_id"], within["trace_id"], within["products"]) == ("r-1", "t-1", 8)
    assert "request_id" not in before
    assert "request_id" not in after
    assert "trace_id" not in after


def test_requests_at_the_same_time_do_not_mix_their_ids(stream: io.StringIO) -> None:
    async def deeper(number: int) -> None:
        await asyncio.sleep(0)
        logging.getLogger("x").info("deeper", extra={"number": number})

    async def answer(number: int) -> None:
        with log_context(request_id=f"r-{number}", trace_id=f"t-{number}"):
            await asyncio.sleep(0)
            await asyncio.create_task(deeper(number))
            await asyncio.to_thread(logging.getLogger("x").info, "thread", extra={"number": number})

    async def answer_all() -> None:
        await asyncio.gather(*(answer(number) for number in range(5)))

    asyncio.run(answer_all())

    found = lines(stream)
    assert len(found) == 10
    assert all(line["request_id"] == f"r-{line['number']}" for line in found)
    assert all(line["trace_id"] == f"t-{line['number']}" for line in found)


def test_a_thread_of_its_own_belongs_to_no_request(stream: io.StringIO) -> None:
    with log_context(request_id="r-1", trace_id="t-1"):
        thread = threading.Thread(target=logging.getLogger("x").info, args=("batch",))
        thread.start()
        thread.join()

    assert "request_id" not in lines(stream)[0]


def test_the_ids_are_gone_after_a_request_that_failed(stream: io.StringIO) -> None:
    with pytest.raises(KeyError), log_context(request_id="r-1", trace_id="t-1"):
        raise KeyError

    logging.getLogger("x").info("after")

    assert "request_id" not in lines(stream)[0]


def test_an_id_given_as_extra_wins(stream: io.StringIO) -> None:
    with log_context(request_id="r-1", trace_id="t-1"):
        logging.getLogger("x").info("m", extra={"request_id": "r-2"})

    assert lines(stream)[0]["request_id"] == "r-2"


def test_lines_below_the_level_are_left_out(stream: io.StringIO) -> None:
    logging.getLogger("x").debug("detail")
    logging.getLogger("uvicorn.error").info("what uvicorn says of itself")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")

    assert [line["message"] for line in lines(stream)] == ["Invalid HTTP request received."]

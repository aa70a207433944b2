import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.trace_context import MAX_CHARACTERS, TraceContext, read_traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
CALLER = TraceContext(TRACE, PARENT, sampled=True)


def hexadecimal(digits: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=digits, max_size=digits).filter(
        lambda text: bool(text.strip("0"))
    )


contexts = st.builds(TraceContext, hexadecimal(32), hexadecimal(16), st.booleans())


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"00-{TRACE}-{PARENT}-00", False),
        (f"00-{TRACE}-{PARENT}-02", False),  # random flag of level 2
        (f"00-{TRACE}-{PARENT}-03", True),
        (f"00-{TRACE}-{PARENT}-ff", True),
        (f" \t00-{TRACE}-{PARENT}-01\t ", True),
        (f"01-{TRACE}-{PARENT}-01", True),
        (f"01-{TRACE}-{PARENT}-00-", False),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like", True),
        (f"fe-{TRACE}-{PARENT}-01-00", True),
    ],
)
def test_what_the_specification_allows_is_read(header: str, sampled: bool) -> None:
    assert read_traceparent([header]) == TraceContext(TRACE, PARENT, sampled)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        TRACE,
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-001",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-01-what-the-future-will-be-like",
        f"00-{TRACE}-{PARENT}-0x",
        f"00-{TRACE}-{PARENT}-.1",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT.upper()}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}0-{PARENT}-01",
        f"00-{TRACE}-{PARENT[:-1]}-01",
        f"00-{TRACE[:-1]}.-{PARENT}-01",
        f"00-{TRACE}-{PARENT[:-1]}g-01",
        f"00_{TRACE}_{PARENT}_01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01",
        f"0-{TRACE}-{PARENT}-01",
        f"000-{TRACE}-{PARENT}-01",
        f"0g-{TRACE}-{PARENT}-01",
        f"FE-{TRACE}-{PARENT}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"01-{TRACE}-{PARENT}-01.what-the-future-will-be-like",
        f"01-{TRACE}-{PARENT}-0",
        f"01-{'0' * 32}-{PARENT}-01",
        f"01-{TRACE}-{PARENT}-01-{'x' * MAX_CHARACTERS}",
        f"00-{TRACE[:-1]}\u0661-{PARENT}-01",  # a digit, but not of this alphabet
    ],
)
def test_what_the_specification_forbids_is_as_if_absent(header: str) -> None:
    assert read_traceparent([header]) is None


def test_a_header_that_is_absent_or_came_twice_says_nothing() -> None:
    header = CALLER.header()

    assert read_traceparent([]) is None
    assert read_traceparent([header, header]) is None


@given(contexts)
def test_a_context_is_read_back_from_its_own_header(context: TraceContext) -> None:
    assert read_traceparent([context.header()]) == context


@given(st.text(max_size=80))
def test_whatever_is_read_from_a_header_can_be_written_as_one(header: str) -> None:
    context = read_traceparent([header])

    assert context is None or read_traceparent([context.header()]) == context


def test_a_header_has_the_form_of_version_00() -> None:
    assert CALLER.header() == f"00-{TRACE}-{PARENT}-01"
    assert TraceContext(TRACE, PARENT, sampled=False).header() == f"00-{TRACE}-{PARENT}-00"


@given(contexts)
def test_a_child_is_another_span_of_the_same_trace(context: TraceContext) -> None:
    child = context.child()

    assert (child.trace_id, child.sampled) == (context.trace_id, context.sampled)
    assert child.parent_id != context.parent_id


def test_every_new_trace_is_another_one_and_recorded() -> None:
    begun = [TraceContext.begin() for _ in range(100)]

    assert len({context.trace_id for context in begun}) == 100
    assert len({context.parent_id for context in begun}) == 100
    assert all(context.sampled for context in begun)
    assert all(re.fullmatch("[0-9a-f]{32}", context.trace_id) for context in begun)
    assert all(read_traceparent([context.header()]) == context for context in begun)

"""Bytes that are no good requests, on real sockets: none of them harms another connection."""

import random
import re
import socket
import struct
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.odd_requests import ANSWERED, BODY, GOOD, OFFER, POST, REFUSED, mutated
from tests.process import Process, service_process
from tests.tiny import PRODUCTS
from tests.wire import ClosedError, NoAnswerError, Wire, recommending, request, wires

SECONDS = 20.0


@pytest.fixture(scope="module")
def process(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Process]:
    log = tmp_path_factory.mktemp("logs") / "log"
    with service_process(log, "--bundle", str(tiny_bundle), "--port", "0") as process:
        yield process


@pytest.fixture(scope="module")
def address(process: Process) -> str:
    address = process.ready_address()
    ask_well(address)
    return address


@pytest.fixture(scope="module")
def descriptors(process: Process, address: str) -> int:  # noqa: ARG001  # it is ready by then
    """Those of the process when nobody asks."""
    return len(open_descriptors(process))


@pytest.fixture(autouse=True)
def _nothing_is_left(process: Process, address: str, descriptors: int) -> Generator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    ask_well(address)
    until = time.monotonic() + SECONDS
    while len(open_descriptors(process)) > descriptors or waiting(address):
        assert time.monotonic() < until, (open_descriptors(process), waiting(address))
        time.sleep(0.01)
    assert process.popen.poll() is None
    assert "Traceback" not in process.said


def ask_well(address: str) -> None:
    with Wire(address) as wire:
        answer = wire.ask(GOOD)
    assert answer.status == 200
    assert answer.json["results"][0]["recommendations"][0]["product_id"] == "p-5"


def open_descriptors(process: Process) -> list[str]:
    folder = Path(f"/proc/{process.popen.pid}/fd")
    return sorted(str(one) for one in folder.iterdir())


def waiting(address: str) -> list[str]:
    """Return the lines of the metrics that say that something waits or is under way."""
    text = httpx.get(f"{address}/metrics").text
    gauges = re.findall(
        r"^(surematch_(?:queue_\w+|requests_in_flight)\S* \S+)$", text, re.MULTILINE
    )
    assert len(gauges) == 6
    return [line for line in gauges if not line.endswith((" 0.0", "in_flight 1.0"))]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_request_gets_400_and_the_end_of_its_connection(address: str, name: str) -> None:
    with Wire(address) as wire:
        wire.send(REFUSED[name])
        answer = wire.read()

        assert answer.status == 400
        assert answer.closes
        assert wire.wait_for_end() == b""


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_strange_gets_its_answer(address: str, name: str) -> None:
    content, status = ANSWERED[name]
    with Wire(address) as wire:
        answer = wire.ask(content)

    assert answer.status == status
    assert len(answer.headers["x-request-id"]) == 32


def test_a_connection_goes_on_after_an_offer_of_http_2(address: str) -> None:
    offer, _ = ANSWERED["an offer of HTTP/2"]
    with Wire(address) as wire:
        for _ in range(3):
            assert wire.ask(offer).status == 200
            assert wire.ask(GOOD).status == 200


@pytest.mark.parametrize("offer", [b"", OFFER])
def test_requests_that_come_at_once_are_answered_in_turn(address: str, offer: bytes) -> None:
    texts = [PRODUCTS[number % 6] for number in range(50)]
    asked = [
        recommending(*[title] * (1 + number % 3)) for number, (_, title, _) in enumerate(texts)
    ]
    if offer:
        asked = [content.replace(b"Host:", offer + b"Host:", 1) for content in asked]
    with Wire(address) as wire:
        wire.send(b"".join(asked))
        answers = [wire.read() for _ in asked]

    for number, (answer, (product_id, _, _)) in enumerate(zip(answers, texts, strict=True)):
        found = [one["recommendations"][0]["product_id"] for one in answer.json["results"]]
        assert found == [product_id] * (1 + number % 3)


def test_garbage_behind_a_request_does_not_take_its_answer(address: str) -> None:
    slow = recommending(*(f"canon {number}" for number in range(900)))
    with Wire(address) as wire:
        wire.send(slow + b"\x00 no request at all\r\n\r\n")
        answer = wire.read()

        assert len(answer.json["results"]) == 900
        assert wire.wait_for_end() == b""


def test_a_request_may_come_byte_by_byte(address: str) -> None:
    with Wire(address) as wire:
        for number in range(len(GOOD)):
            wire.send(GOOD[number : number + 1])

        assert wire.read().status == 200


@pytest.mark.parametrize("cut", [0, 1, 20, len(GOOD) - len(BODY), len(GOOD) - 1])
def test_a_client_that_leaves_within_its_request_is_forgotten(address: str, cut: int) -> None:
    with wires(address, 20) as left:
        for number, wire in enumerate(left):
            wire.send(GOOD[:cut])
            if number % 2:
                reset_when_closed(wire)


def test_clients_that_leave_within_their_answer_are_forgotten(address: str) -> None:
    texts = [f"canon eos {number}" for number in range(1000)]
    large = request("POST", "/recommend", {"queries": texts, "k": 100})
    with wires(address, 8) as left:
        for number, wire in enumerate(left):
            wire.send(large)
            if number % 2:
                assert wire.socket.recv(1000)
            reset_when_closed(wire)


def test_a_body_that_is_too_slow_gets_504_and_leaves_nothing_behind(address: str) -> None:
    slow = recommending("sony", headers=[("X-Request-Deadline-Ms", "200")])
    with wires(address, 50) as dripping:
        for wire in dripping:
            wire.send(slow[:-10])
        answers = [wire.read() for wire in dripping]

    assert [answer.status for answer in answers] == [504] * 50
    assert {answer.json["code"] for answer in answers} == {"deadline_exceeded"}


@pytest.mark.slow
def test_a_client_that_sends_no_end_loses_its_connection(address: str) -> None:
    """Half a head has 10 s, the rest of a body that was answered 5 s, however it drips."""
    late = recommending("sony" * 100, headers=[("X-Request-Deadline-Ms", "1")])
    with Wire(address) as head, Wire(address) as body:
        head.send(POST)
        body.send(late[:-300])
        assert body.read().status == 504
        dripping = {head: b"X", body: b" "}
        while dripping:
            for wire, drop in list(dripping.items()):
                try:
                    wire.send(drop)
                except (ClosedError, NoAnswerError):
                    del dripping[wire]
            time.sleep(0.1)

        assert body.wait_for_end() == b""


def reset_when_closed(wire: Wire) -> None:
    """Let a close be a reset, as when a machine dies."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hurl(address: str, chance: random.Random) -> None:
    """Send something in a few pieces, and perhaps read an answer, before leaving."""
    content = mutated(chance)
    with Wire(address) as wire:
        try:
            while content:
                cut = chance.choice((1, 7, 100, len(content)))
                wire.send(content[:cut])
                content = content[cut:]
            if chance.random() < 0.3:
                wire.socket.shutdown(socket.SHUT_WR)
                wire.wait_for_end()
        except (ClosedError, NoAnswerError, OSError):
            pass
        if chance.random() < 0.3:
            reset_when_closed(wire)


@settings(max_examples=200)
@given(chance=st.randoms(use_true_random=False))
def test_requests_with_random_errors_harm_nobody_else(address: str, chance: random.Random) -> None:
    hurl(address, chance)


@pytest.mark.slow
@settings(max_examples=3000)
@given(chance=st.randoms(use_true_random=False))
def test_many_requests_with_random_errors_harm_nobody_else(
    address: str, chance: random.Random
) -> None:
    hurl(address, chance)

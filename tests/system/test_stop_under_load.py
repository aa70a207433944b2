"""SIGTERM while clients ask: each request that was sent gets its answer, and the process ends."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.load import Loop, under_load
from tests.process import Process, service_process
from tests.wire import ClosedError, NoAnswerError, Wire, recommending, request, wires

STREAM = b"POST /recommend/stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
LINES = request("POST", "/recommend/stream", b'"canon eos r5 body"\n' * 100)
MANY = recommending(*(f"canon eos r5 body {number}" for number in range(300)))


@dataclass
class Tally:
    """What became of the requests of some clients."""

    statuses: Counter[int] = field(default_factory=Counter[int])
    dropped: list[str] = field(default_factory=list[str])
    after_signal: int = 0
    refused: int = 0


def client(address: str, tally: Tally, content: bytes, *, is_fresh: bool, pause: float) -> Loop:
    """Return a client that asks until it is refused; ``is_fresh``: on a connection each time."""

    def loop(over: threading.Event) -> None:
        wire: Wire | None = None
        while not over.is_set():
            try:
                wire = wire or Wire(address)
                time.sleep(pause)
                answer = wire.ask(content)
            except ConnectionRefusedError:
                tally.refused += 1
                return
            except (OSError, NoAnswerError) as error:
                tally.dropped.append(f"{error!r}, fresh: {is_fresh}, pause: {pause}")
                wire = None
            except ClosedError:  # before anything was sent: any client asks again
                wire = None
            else:
                tally.statuses[answer.status] += 1
                tally.after_signal += answer.closes
                if is_fresh or answer.closes:
                    wire.socket.close()
                    wire = None

    return loop


def clients(address: str, tally: Tally) -> list[Loop]:
    few = recommending("canon eos r5 body")
    return [
        client(address, tally, content, is_fresh=is_fresh, pause=pause)
        for content, pause in ((few, 0.0), (few, 0.02), (MANY, 0.0), (LINES, 0.0))
        for is_fresh in (False, True)
    ]


def stop_under_load(process: Process, tally: Tally, meanwhile: Callable[[], None]) -> int:
    """Stop a process that clients ask; return its exit code once all of them are refused."""
    address = process.ready_address()
    asking = clients(address, tally)
    with under_load(asking) as over:
        while sum(tally.statuses.values()) < 100:
            assert not over.is_set()
            time.sleep(0.01)
        process.popen.send_signal(signal.SIGTERM)
        meanwhile()
        code = process.exit_code()
        while tally.refused < len(asking) and not over.is_set():
            time.sleep(0.01)
    return code


def arguments(bundle: Path, *, drain_seconds: float) -> list[str]:
    return ["--bundle", str(bundle), "--port", "0", "--drain-seconds", str(drain_seconds)]


def test_a_stop_under_load_drops_no_request(tiny_bundle: Path, tmp_path: Path) -> None:
    tally = Tally()
    with service_process(tmp_path / "log", *arguments(tiny_bundle, drain_seconds=0)) as process:
        code = stop_under_load(process, tally, lambda: None)

    assert tally.dropped == []
    assert set(tally.statuses) == {200}
    assert tally.after_signal > 0
    assert code == 0, process.said
    assert "Traceback" not in process.said


@pytest.mark.slow
@pytest.mark.parametrize("drain_seconds", [0, 1])
def test_no_stop_of_many_drops_a_request(
    tiny_bundle: Path, tmp_path: Path, drain_seconds: int
) -> None:
    for turn in range(5):
        tally = Tally()
        log = tmp_path / f"log-{turn}"
        with service_process(log, *arguments(tiny_bundle, drain_seconds=drain_seconds)) as process:
            code = stop_under_load(process, tally, lambda: None)

        assert tally.dropped == []
        assert set(tally.statuses) == {200}
        assert code == 0, process.said


@pytest.mark.parametrize("drain_seconds", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_readyz_says_503_before_anybody_is_refused(
    tiny_bundle: Path, tmp_path: Path, drain_seconds: int
) -> None:
    settings = arguments(tiny_bundle, drain_seconds=drain_seconds)
    with service_process(tmp_path / "log", *settings) as process:
        address = process.ready_address()
        with Wire(address) as probe, Wire(address) as other:
            before = probe.ask(request("GET", "/readyz"))
            process.popen.send_signal(signal.SIGTERM)
            answer = before
            while answer.status == 200:
                answer = probe.ask(request("GET", "/readyz"))
            late = other.ask(recommending("canon eos r5 body"))
            code = process.exit_code()

    assert (before.status, before.closes) == (200, False)
    assert (answer.status, answer.closes) == (503, True)
    assert (late.status, late.closes) == (200, True)
    assert code == 0, process.said


def test_a_request_whose_last_byte_comes_after_the_signal_is_answered(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    content = recommending("canon eos r5 body")
    head = content.index(b"\r\n\r\n") + 4
    with service_process(tmp_path / "log", *arguments(tiny_bundle, drain_seconds=0)) as process:
        address = process.ready_address()
        cuts = (0, 10, head, len(content) - 1)
        with wires(address, len(cuts)) as begun, Wire(address) as probe:
            for wire, cut in zip(begun, cuts, strict=True):
                wire.send(content[:cut])
            process.popen.send_signal(signal.SIGTERM)
            while probe.ask(request("GET", "/readyz")).status != 503:
                pass
            for wire, cut in zip(begun, cuts, strict=True):
                wire.send(content[cut:])
            answers = [wire.read() for wire in begun]
            code = process.exit_code()

    assert [answer.status for answer in answers] == [200] * len(cuts)
    assert code == 0, process.said


def test_a_stream_under_way_goes_on_after_the_signal(tiny_bundle: Path, tmp_path: Path) -> None:
    """And the connection, which was never told to close, takes one more request."""
    with service_process(tmp_path / "log", *arguments(tiny_bundle, drain_seconds=0)) as process:
        address = process.ready_address()
        with Wire(address) as stream, Wire(address) as probe:
            stream.send(STREAM + chunk(b'"canon eos r5 body"\n'))
            while stream.is_silent:
                time.sleep(0.001)
            process.popen.send_signal(signal.SIGTERM)
            while probe.ask(request("GET", "/readyz")).status != 503:
                pass
            stream.send(chunk(b'"sony"\n' * 300) + b"0\r\n\r\n")
            answer = stream.read()
            late = stream.ask(recommending("canon eos r5 body"))
            code = process.exit_code()

    assert answer.status == 200
    assert answer.body.count(b'"bundle_id"') == 301
    assert not answer.closes
    assert (late.status, late.closes) == (200, True)
    assert code == 0, process.said


def test_a_client_that_never_comes_to_an_end_is_waited_for_so_long(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    settings = [*arguments(tiny_bundle, drain_seconds=0), "--shutdown-seconds", "1"]
    with service_process(tmp_path / "log", *settings) as process:
        address = process.ready_address()
        with Wire(address) as stream, Wire(address) as slow:
            stream.send(STREAM + chunk(b'"canon eos r5 body"\n'))
            slow.send(MANY[:-1])
            while stream.is_silent:
                time.sleep(0.001)
            process.popen.send_signal(signal.SIGTERM)
            code = process.exit_code()

    assert code == 0, process.said
    assert process.lines("stopped")


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def test_connections_that_say_nothing_do_not_hold_up_a_stop(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    settings = [*arguments(tiny_bundle, drain_seconds=0), "--shutdown-seconds", "600"]
    with service_process(tmp_path / "log", *settings) as process:
        address = process.ready_address()
        with wires(address, 20) as silent:
            for wire in silent[:10]:
                assert wire.ask(recommending("sony")).status == 200
            for wire in silent[5:15]:
                wire.send(b"POST /recomm")
            process.popen.send_signal(signal.SIGTERM)
            code = process.exit_code()

            assert all(wire.is_closed for wire in silent)
    assert code == 0, process.said

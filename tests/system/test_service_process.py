import json
import os
import signal
import socket
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.contract import bundle as bundles
from service.server import listen
from tests.process import Process, service_process
from tests.tiny import PRODUCTS


@pytest.fixture(scope="module")
def process(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Process]:
    log = tmp_path_factory.mktemp("logs") / "log"
    with service_process(log, "--bundle", str(tiny_bundle), "--port", "0") as process:
        process.ready_address()
        yield process


def connect(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def read_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(4096)
        assert received, head
        head += received
    return head


def test_the_process_answers_over_its_socket(process: Process) -> None:
    response = httpx.post(
        f"{process.address()}/recommend", json={"queries": ["canon eos r5 body"], "k": 1}
    )

    assert response.status_code == 200
    assert response.json()["results"][0]["recommendations"][0]["product_id"] == "p-5"


def test_each_request_is_one_line_of_json_without_its_text(process: Process) -> None:
    headers = {"X-Request-ID": "line-test"}
    body = {"queries": ["a secret text"]}
    httpx.post(f"{process.address()}/recommend", json=body, headers=headers)

    line = process.wait_for_line("request answered", request_id="line-test")
    lines = process.lines("request answered")
    assert sum(one["request_id"] == "line-test" for one in lines) == 1
    assert (line["method"], line["route"], line["status"]) == ("POST", "/recommend", 200)
    assert line["queries"] == 1
    assert "secret" not in process.said


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 100000000",
        b"Transfer-Encoding: chunked",
    ],
)
def test_a_body_that_is_too_large_is_answered_before_it_has_arrived(
    process: Process, head: bytes
) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with connect(process.address()) as connection:
        connection.sendall(b"POST /recommend HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
        if b"chunked" in head:
            for _ in range(5):  # of 4 MiB at most, and it never ends
                connection.sendall(chunk)

        assert read_head(connection).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_sends_all_of_a_body_that_is_too_large_reads_the_answer(
    process: Process,
) -> None:
    with httpx.Client(base_url=process.address()) as client:
        response = client.post("/recommend", content=b" " * 30_000_000)
        after = client.post("/recommend", json={"queries": ["sony"]})

    assert response.json()["code"] == "body_too_large"
    assert after.status_code == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"POST /recommend HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{",
        b"POST /recommend HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_a_broken_connection_harms_no_other(process: Process, garbage: bytes) -> None:
    address = process.address()
    with connect(address) as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)

    response = httpx.post(f"{address}/recommend", json={"queries": ["sony"]})

    assert response.status_code == 200
    assert process.popen.poll() is None


def test_a_stop_finishes_every_request_in_flight(tiny_bundle: Path, tmp_path: Path) -> None:
    texts = [f"{PRODUCTS[n % 6][1]} {n} " * 300 for n in range(150)]
    content = json.dumps({"queries": texts, "k": 8}).encode()
    arguments = ("--bundle", str(tiny_bundle), "--port", "0", "--workers", "1")
    with service_process(tmp_path / "log", *arguments) as process:
        address = process.ready_address()

        def ask(_number: int) -> httpx.Response:
            return httpx.post(f"{address}/recommend", content=content, timeout=60)

        with ThreadPoolExecutor(8) as clients:
            asked = [clients.submit(ask, number) for number in range(8)]
            until = time.monotonic() + 30
            while "surematch_requests_in_flight 9.0" not in httpx.get(f"{address}/metrics").text:
                assert time.monotonic() < until
            in_flight = sum(not future.done() for future in asked)
            process.popen.send_signal(signal.SIGTERM)
            responses = [future.result() for future in asked]
        code = process.exit_code()

    assert in_flight >= 6
    assert [response.status_code for response in responses] == [200] * 8
    assert all(len(response.json()["results"]) == len(texts) for response in responses)
    assert code == 0, process.said
    assert process.lines("stopped")


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_service_stops_with_code_0(tiny_bundle: Path, tmp_path: Path, sig: int) -> None:
    with service_process(tmp_path / "log", "--bundle", str(tiny_bundle), "--port", "0") as process:
        process.ready_address()
        process.popen.send_signal(sig)

        assert process.exit_code() == 0
    assert "Traceback" not in process.said


def test_settings_come_from_variables_too(tiny_bundle: Path, tmp_path: Path) -> None:
    environment = {
        "SUREMATCH_BUNDLE": str(tiny_bundle),
        "SUREMATCH_PORT": "0",
        "SUREMATCH_MAX_QUERIES": "2",
        "SUREMATCH_LOG_LEVEL": "info",
    }
    with service_process(tmp_path / "log", environment=environment) as process:
        address = process.ready_address()
        response = httpx.post(f"{address}/recommend", json={"queries": ["x"] * 3})

    assert response.status_code == 422


@pytest.mark.parametrize("name", [bundles.MANIFEST, *bundles.REQUIRED])
def test_one_flipped_byte_keeps_the_service_from_starting(
    own_bundle: Path, tmp_path: Path, name: str
) -> None:
    content = bytearray((own_bundle / name).read_bytes())
    content[len(content) // 2] ^= 0x01
    (own_bundle / name).write_bytes(content)

    with service_process(tmp_path / "log", "--bundle", str(own_bundle), "--port", "0") as process:
        assert process.exit_code() == 1

    last = process.said.splitlines()[-1]
    assert last.startswith("error: ")
    assert str(own_bundle / name) in last
    assert len(process.lines("bundle not opened")) == 1


def test_a_missing_bundle_keeps_the_service_from_starting(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    with service_process(tmp_path / "log", "--bundle", str(absent), "--port", "0") as process:
        assert process.exit_code() == 1

    assert process.said.splitlines()[-1].startswith(f"error: no bundle in {absent}")
    assert "Traceback" not in process.said


def test_a_taken_port_is_a_one_line_error(tiny_bundle: Path, tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        arguments = ("--bundle", str(tiny_bundle), "--port", port)
        with service_process(tmp_path / "log", *arguments) as process:
            assert process.exit_code() == 1

    assert process.said.startswith(f"error: cannot listen on 127.0.0.1 port {port}")
    assert process.said.count("\n") == 1


def test_while_the_bundle_opens_livez_is_200_and_the_rest_503(
    own_bundle: Path, tmp_path: Path
) -> None:
    golden = own_bundle / bundles.GOLDEN
    golden.unlink()
    os.mkfifo(golden)  # opening waits here until somebody writes
    arguments = ("--bundle", str(own_bundle), "--port", "0")
    with service_process(tmp_path / "log", *arguments) as process:
        address = process.address()
        paths = ("/livez", "/readyz", "/info", "/metrics")
        got = {path: httpx.get(f"{address}{path}").status_code for path in paths}
        asked = httpx.post(f"{address}/recommend", json={"queries": ["sony"]})
        golden.write_bytes(b"not what was sealed")
        code = process.exit_code()

    assert got == {"/livez": 200, "/readyz": 503, "/info": 503, "/metrics": 200}
    assert (asked.status_code, asked.json()["code"]) == (503, "not_ready")
    assert code == 1

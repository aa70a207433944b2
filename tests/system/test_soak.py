"""A long run of everything at once: memory, descriptors, threads and metrics must stay flat.

A minute by default. For an hour, also for the watch over tests that hang:
``SOAK_SECONDS=3600 .venv/bin/pytest -o faulthandler_timeout=7200 tests/system/test_soak.py``.
"""

import os
import random
import re
import statistics
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.load import Loop, under_load, until_over
from tests.process import Process, service_process
from tests.swap_traffic import (
    CORRUPT,
    NAMES,
    TEXTS,
    Expected,
    asking_for,
    must_agree,
    some_texts,
    write_bundles,
)
from tests.wire import Wire, recommending, request

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
WARM_UP_SHARE = 0.4
SAMPLE_SECONDS = 0.5
MORE_MEMORY = 16 * 1024
"""KiB by which the median of the last third may be above that of the first, however long it ran."""
MORE_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""asyncio's own pool, which grows only as far as it is needed at the same time."""
QUIET_SECONDS = 20.0

ODD = (
    *(b"no json", b"[]", b'{"queries": []}', b'{"queries": [1]}', b'{"queries": ["x"], "k": 0}'),
    *(b'{"queries": ["x"], "fields": ["y"]}', b"\xff\xfe", b'{"queries": [' + b'"x",' * 2000),
)
GARBAGE = (b"\x00\x01\r\n\r\n", b"GET /livez HTTP/3\r\n\r\n", b"POST /recommend HTTP/1.1\r\nX: ")


@dataclass(frozen=True)
class Sample:
    """What the process needs at one moment."""

    memory: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, process: Process) -> "Sample":
        """Look at a process."""
        folder = Path(f"/proc/{process.popen.pid}")
        status = (folder / "status").read_text(encoding="utf-8")
        memory, threads = (
            int(found[1])
            for name in ("VmRSS", "Threads")
            if (found := re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE))
        )
        return cls(memory, len(list((folder / "fd").iterdir())), threads)


class Crowd:
    """Clients of every kind, and how often each got what."""

    def __init__(self, address: str, said: Mapping[str, Mapping[str, Expected]]) -> None:
        self.address = address
        self.said = said
        self.got: Counter[str] = Counter()
        self.chance = random.Random(0)  # noqa: S311  # no secret

    def everybody(self) -> list[Loop]:
        """Return the clients."""
        return [
            self.regular(seed=1),
            self.regular(seed=2),
            until_over(self.newcomer, pause_seconds=0.02),
            until_over(self.stranger, pause_seconds=0.02),
            until_over(self.other_route, pause_seconds=0.02),
            until_over(self.leaver, pause_seconds=0.05),
            until_over(self.operator, pause_seconds=3.0),
        ]

    def regular(self, *, seed: int) -> Loop:
        """Return a client that checks what it gets on one connection."""

        def loop(over: threading.Event) -> None:
            chance = random.Random(seed)  # noqa: S311  # no secret
            with Wire(self.address) as wire:
                while not over.wait(0.005):
                    texts = some_texts(chance)
                    must_agree(wire.ask(asking_for(texts)), texts, self.said)
                    self.got["checked"] += 1

        return loop

    def newcomer(self) -> None:
        """Ask what nobody has asked before, some of it in no time at all."""
        number = self.got["new"]
        texts = [f"{TEXTS[number % len(TEXTS)]} {number} {row}" for row in range(number % 30 + 1)]
        hurry = [("X-Request-Deadline-Ms", "1")] if number % 10 == 0 else []
        with Wire(self.address) as wire:
            answer = wire.ask(recommending(*texts, headers=hurry))
        assert answer.status in ((200, 504, 429) if hurry else (200,)), answer
        self.got["new"] += 1

    def stranger(self) -> None:
        """Send what is refused."""
        with Wire(self.address) as wire:
            answer = wire.ask(request("POST", "/recommend", self.chance.choice(ODD)))
            assert 400 <= answer.status < 500, answer
            assert wire.ask(request("GET", "/nowhere")).status == 404
        with Wire(self.address) as wire:
            wire.send(self.chance.choice(GARBAGE))
        self.got["odd"] += 1

    def other_route(self) -> None:
        """Use what else there is."""
        lines = b"".join(b'"%s %d"\n' % (b"canon eos", row) for row in range(50))
        with Wire(self.address) as wire:
            for content in (
                request("POST", "/embed", {"texts": ["canon", "", "sony black"]}),
                request("POST", "/v1/embeddings", {"model": "surematch", "input": ["canon"]}),
                request("POST", "/recommend/stream", lines),
                request("GET", "/info"),
                request("GET", "/metrics"),
                request("GET", "/readyz"),
            ):
                answer = wire.ask(content)
                assert answer.status == 200, answer
        self.got["other"] += 1

    def leaver(self) -> None:
        """Go before the answer is there, or before the request is."""
        large = request(
            "POST", "/recommend", {"queries": [f"eos {n}" for n in range(900)], "k": 50}
        )
        with Wire(self.address) as wire:
            wire.send(large[: self.chance.choice((100, 5000, len(large), len(large)))])
            if self.chance.random() < 0.5:
                wire.socket.settimeout(0.05)
                with suppress(OSError):
                    wire.socket.recv(100)
        self.got["left"] += 1

    def operator(self) -> None:
        """Swap, roll back, and try a bundle that is damaged."""
        turn = self.got["swaps"]
        with Wire(self.address) as wire:
            name = NAMES[turn % len(NAMES)]
            assert wire.ask(request("POST", "/admin/bundle", {"bundle": name})).status == 200
            if turn % 3 == 2:
                assert wire.ask(request("POST", "/admin/rollback")).status in (200, 409)
            refused = wire.ask(request("POST", "/admin/bundle", {"bundle": CORRUPT}))
            assert refused.status == 422, refused
        self.got["swaps"] += 1


def run(crowd: Crowd, process: Process, *, seconds: float) -> list[Sample]:
    """Return what the process needed all along."""
    samples: list[Sample] = []
    until = time.monotonic() + seconds
    with under_load(crowd.everybody()) as over:
        while time.monotonic() < until and not over.wait(SAMPLE_SECONDS):
            samples.append(Sample.of(process))
    return samples


def quiet(process: Process, address: str, *, descriptors: int) -> Sample:
    """Return what the process needs once nobody asks, and all that was asked is over."""
    until = time.monotonic() + QUIET_SECONDS
    while (sample := Sample.of(process)).descriptors > descriptors or waiting(address):
        assert time.monotonic() < until, (sample, waiting(address))
        time.sleep(0.05)
    return sample


def waiting(address: str) -> list[str]:
    """Return the lines of /metrics that say that something waits in a queue."""
    with Wire(address) as wire:
        metrics = wire.ask(request("GET", "/metrics")).body.decode()
    names = ("surematch_queue_requests{", "surematch_queue_tokens{")
    found = [line for line in metrics.splitlines() if line.startswith(names)]
    assert len(found) == 4
    return [line for line in found if not line.endswith(" 0.0")]


def series_of(address: str) -> int:
    """Return the number of series of /metrics."""
    with Wire(address) as wire:
        metrics = wire.ask(request("GET", "/metrics")).body.decode()
    return sum(not line.startswith("#") for line in metrics.splitlines())


@pytest.mark.slow
def test_a_long_run_of_everything_needs_no_more_at_its_end(tmp_path: Path) -> None:
    said = write_bundles(tmp_path / "bundles")
    arguments = ("--bundle", str(tmp_path / "bundles"), "--port", "0", "--cache-bytes", "300000")
    with service_process(tmp_path / "log", *arguments) as process:
        address = process.ready_address()
        idle = Sample.of(process).descriptors
        crowd = Crowd(address, said)
        run(crowd, process, seconds=WARM_UP_SHARE * SECONDS)
        before, series = quiet(process, address, descriptors=idle), series_of(address)
        samples = run(crowd, process, seconds=(1 - WARM_UP_SHARE) * SECONDS)
        after, series_after = quiet(process, address, descriptors=idle), series_of(address)

    memory = [sample.memory for sample in samples]
    third = len(memory) // 3
    first, last = statistics.median(memory[:third]), statistics.median(memory[-third:])
    assert last <= first + MORE_MEMORY, memory
    assert after.memory <= before.memory + MORE_MEMORY
    assert after.threads <= before.threads + MORE_THREADS
    assert series_after == series
    assert min(crowd.got.values()) >= SECONDS / 10, crowd.got
    assert "Traceback" not in process.said

"""A service that needs keys: bundles of several promises, its arguments, and how it is asked."""

import time
from collections.abc import Sequence
from pathlib import Path

from tests.key_files import entry
from tests.process import Process
from tests.tiny import write_bundle
from tests.wire import Wire, WireAnswer

SECONDS = 20.0
DEFAULT, STRICT = 0.95, 0.98

ENTRIES = {
    "shop": entry("shop"),
    "picky": entry("picky", target_precision=STRICT),
    "slow": entry("slow", queries_per_second=0.01, burst=3),
    "ops": entry("ops", ("admin",)),
    "desk": entry("desk", ("review",)),
}


def write_shelf(root: Path) -> Path:
    """Write a bundle of two promises and one of a single promise; return their folder."""
    write_bundle(root / "two", threshold=0.8, further={STRICT: 0.99})
    write_bundle(root / "one", threshold=0.8)
    return root


def arguments(bundle: Path, keys: Path) -> Sequence[str]:
    """Return the command line of a service that looks at its keys all the time."""
    where = ("--bundle", str(bundle), "--port", "0", "--log-level", "debug")
    return (*where, "--keys-file", str(keys), "--watch-seconds", "0.05")


def ask(address: str, content: bytes, headers: Sequence[tuple[str, str]] = ()) -> WireAnswer:
    """Return the answer to a request with further header fields, on a connection of its own."""
    with Wire(address) as wire:
        return wire.ask(_adding(headers, content))


def _adding(headers: Sequence[tuple[str, str]], content: bytes) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")
    return content.replace(b"\r\n", b"\r\n" + lines, 1)


def must_be_a_problem(answer: WireAnswer, status: int, code: str) -> None:
    """Check that an answer is a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status, answer.json["status"], answer.json["code"]) == (status, status, code)


def until_complained(process: Process, times: int) -> None:
    """Wait until the service has so often said that keys are wrong."""
    until = time.monotonic() + SECONDS
    while len(process.lines("keys not taken over, the old ones hold")) < times:
        assert time.monotonic() < until
        time.sleep(0.01)

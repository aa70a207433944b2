"""The service as a process of its own, asked over a socket."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
SECONDS = 60.0


@dataclass
class Process:
    """A running ``python -m service`` whose log goes to a file."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """Everything written to standard error so far."""
        return self.log.read_text(encoding="utf-8")

    def lines(self, message: str) -> list[dict[str, Any]]:
        """Return the log lines with this message that are written to their end."""
        whole, _, _ = self.said.rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] == message]

    def wait_for_line(self, message: str, **facts: object) -> dict[str, Any]:
        """Wait for a log line with this message and these facts; return it."""
        until = time.monotonic() + SECONDS
        while True:
            for line in self.lines(message):
                if facts.items() <= line.items():
                    return line
            assert self.popen.poll() is None, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.02)

    def address(self) -> str:
        """Wait until the process listens; return its base URL."""
        return f"http://127.0.0.1:{self.wait_for_line('listening')['port']}"

    def ready_address(self) -> str:
        """Wait until the bundle is open; return the base URL."""
        address = self.address()
        until = time.monotonic() + SECONDS
        while httpx.get(f"{address}/readyz").status_code != 200:
            assert self.popen.poll() is None, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.02)
        return address

    def exit_code(self) -> int:
        """Wait for the end of the process; return its exit code."""
        return self.popen.wait(SECONDS)


@contextmanager
def service_process(
    log: Path, *arguments: str, environment: dict[str, str] | None = None
) -> Generator[Process]:
    """Yield a process of the service; it is killed at the end if it still runs."""
    command = [sys.executable, "-m", "service", *arguments]
    variables = {k: v for k, v in os.environ.items() if not k.startswith("SUREMATCH_")}
    with log.open("wb") as stderr:
        popen = subprocess.Popen(  # noqa: S603  # our own module
            command, cwd=ROOT, env=variables | (environment or {}), stderr=stderr
        )
    try:
        yield Process(popen, log)
    finally:
        popen.kill()
        popen.wait()

"""A process with all that it started: what memory they hold, and how they end."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Member:
    """A running process; its start tells it from another that got its number later."""

    process: int
    parent: int
    started: int
    resident_mb: float


def family(process: int) -> list[Member]:
    """Return a process and its children, and theirs; none where it has ended."""
    found = [_member(int(folder.name)) for folder in Path("/proc").glob("[0-9]*")]
    running = [member for member in found if member is not None]
    members = [member for member in running if member.process == process]
    for known in members:  # grows while it is read
        members += [member for member in running if member.parent == known.process]
    return members


def memory_mb(process: int) -> float:
    """Return resident memory of a process and its children; shared pages count for each."""
    return round(sum(member.resident_mb for member in family(process)), 1)


def end(popen: subprocess.Popen[Any], *, patience_seconds: float) -> None:
    """Ask a process to end, wait so long, then end it and whatever it started and left."""
    members = family(popen.pid)
    popen.terminate()
    try:
        popen.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()
    for member in members:
        if _runs_still(member):
            os.kill(member.process, signal.SIGKILL)
    while any(map(_runs_still, members)):  # the kernel may take a moment
        time.sleep(0.01)


def _runs_still(member: Member) -> bool:
    now = _member(member.process)
    return now is not None and now.started == member.started


def _member(process: int) -> Member | None:
    """Return what the kernel says of a process; None where it has ended."""
    try:
        line = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    fields = line.rpartition(")")[2].split()  # its name, in brackets, may hold anything
    if fields[0] == "Z":  # ended, though its parent has not asked how
        return None
    resident = int(fields[21]) * PAGE_BYTES / 1024**2
    return Member(process, int(fields[1]), int(fields[19]), resident)

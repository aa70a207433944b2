"""Processes that have started others."""

import subprocess
import sys
from collections.abc import Generator

import pytest

from tests.benchmarks.process_family import end, family, memory_mb

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def parent() -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as popen:  # noqa: S603
        yield popen
        end(popen, patience_seconds=10)


def child_of(parent: subprocess.Popen[str]) -> int:
    assert parent.stdout is not None
    return int(parent.stdout.readline())


def test_children_belong_to_the_family(parent: subprocess.Popen[str]) -> None:
    child = child_of(parent)

    assert [member.process for member in family(parent.pid)] == [parent.pid, child]


def test_the_memory_of_children_counts(parent: subprocess.Popen[str]) -> None:
    child = child_of(parent)

    assert memory_mb(parent.pid) > memory_mb(child) > 1


def test_children_that_are_left_over_are_ended(parent: subprocess.Popen[str]) -> None:
    child = child_of(parent)

    end(parent, patience_seconds=10)

    assert parent.returncode is not None
    assert family(child) == []


def test_a_process_that_has_ended_has_no_family() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()

    assert family(done.pid) == []

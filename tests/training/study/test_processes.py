import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from service.contract.errors import UsageError
from tests.command_line import ROOT
from tests.training.study.made_up import SLOT
from training.interruption import StoppedError
from training.study.processes import Children, Finished, Slot, share_cores, usable_cores


def once(statement: str) -> list[str]:
    """The words of a child that runs one statement."""
    return ["timeit", "-n", "1", "-r", "1", statement]


def test_what_a_child_says_and_how_long_it_takes_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"

    first = Children().run(once("print('first')"), log=log, slot=SLOT)
    second = Children().run(once("print('second'); 1 / 0"), log=log, slot=SLOT)

    assert (first.exit_code, second.exit_code) == (0, 1)
    assert log.read_text().index("first") < log.read_text().index("second")
    assert 0 < first.seconds < 60


def test_the_memory_of_each_child_is_its_own(tmp_path: Path) -> None:
    """In a small process: a child counts as what its parent had taken, at the least."""
    program = f"""
from pathlib import Path
from training.study.processes import Children, Slot
for statement in ("b'x' * (10**8 + n)", "b'x' * (3 * 10**8 + n)", "n"):
    words = ["timeit", "-n", "1", "-r", "1", f"n = 1; {{statement}}"]
    done = Children().run(words, log=Path({str(tmp_path / "log")!r}), slot=Slot(1, None))
    print(done.peak_memory_mb)
"""
    ran = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )

    some, much, little = map(float, ran.stdout.split())
    assert 150 < much - some < 250
    assert little < some


def test_a_study_itself_loads_no_training_framework() -> None:
    """Its own memory is the least that a child's can be measured as."""
    program = "import sys, training.study.command; print(*sys.modules)"
    ran = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert not {"torch", "transformers", "faiss", "scipy"} & set(ran.stdout.split())


def test_a_child_is_told_its_threads_and_held_to_its_cores(tmp_path: Path) -> None:
    core = usable_cores()[-1]
    statement = (
        "import os, time; time.sleep(0.2); "
        "print(os.environ['OMP_NUM_THREADS'], sorted(os.sched_getaffinity(0)))"
    )

    Children().run(once(statement), log=tmp_path / "log", slot=Slot(3, frozenset([core])))

    assert f"3 [{core}]" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("kill", [False, True])
def test_a_child_is_ended_before_its_time_and_no_other_begins(kill: bool, tmp_path: Path) -> None:
    children = Children()
    log = tmp_path / "log"
    log.touch()
    found: list[Finished] = []
    statement = "import time; print('here', flush=True); time.sleep(60)"
    words = once(statement)
    thread = threading.Thread(target=lambda: found.append(children.run(words, log=log, slot=SLOT)))
    thread.start()
    while "here" not in log.read_text():
        time.sleep(0.02)

    (children.kill if kill else children.stop)()
    thread.join(30)

    assert found[0].exit_code == -(signal.SIGKILL if kill else signal.SIGTERM)
    with pytest.raises(StoppedError):
        children.run(once("pass"), log=log, slot=SLOT)


def test_cores_are_shared_out_without_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 5, 6, 7, 8})

    assert share_cores(1, None) == [Slot(7, None)]
    assert share_cores(3, None) == [
        Slot(2, frozenset({0, 1})),
        Slot(2, frozenset({2, 5})),
        Slot(2, frozenset({6, 7})),
    ]
    assert share_cores(2, 1) == [Slot(1, frozenset({0})), Slot(1, frozenset({1}))]


@pytest.mark.parametrize(("jobs", "threads"), [(3, None), (1, 3), (2, 2)])
def test_more_threads_than_cores_are_refused(
    jobs: int, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})

    with pytest.raises(UsageError, match="lower --jobs or --threads"):
        share_cores(jobs, threads)

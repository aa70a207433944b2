import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.training.study.made_up import SLOT, FakeRunner, write_study
from training.interruption import StoppedError
from training.study.jobs import Job, StudyData, jobs_of
from training.study.plan import load_study
from training.study.processes import Finished, Slot
from training.study.schedule import Ended, carry_out


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    study = load_study(write_study(tmp_path))
    return jobs_of(study, StudyData(tmp_path / "data", "abc", ()), tmp_path / "out")


def seed_one(words: Sequence[str]) -> bool:
    return "soft-tcm-0" in " ".join(words)


class StopsItself(FakeRunner):
    """Gets the signal of Ctrl-C while the first training is under way, which then saves."""

    def run(self, words: Sequence[str], *, log: Path, slot: Slot) -> Finished:
        finished = super().run(words, log=log, slot=slot)
        if words[1] != "fit":
            return finished
        os.kill(os.getpid(), signal.SIGINT)
        while not self.is_stopping:
            pass
        return Finished(1, 1.0, 1.0)


@pytest.mark.parametrize("slots", [1, 2])
def test_a_run_that_fails_leaves_the_others(jobs: list[Job], slots: int) -> None:
    ended = {e.job.name: e for e in carry_out(jobs, [SLOT] * slots, FakeRunner(fails=seed_one))}

    assert set(ended) == {"bm25", "soft-none-0", "soft-tcm-0", "soft-none-1", "soft-tcm-1"}
    failed = ended.pop("soft-tcm-0")
    assert (failed.figures, failed.error) == (None, "no such encoder; name another")
    assert all(e.figures is not None and e.error is None for e in ended.values())


def test_what_is_done_comes_first_and_is_not_done_again(jobs: list[Job]) -> None:
    list(carry_out(jobs, [SLOT], FakeRunner(fails=seed_one)))
    children = FakeRunner()

    ended = list(carry_out(jobs, [SLOT], children))

    assert [e.is_new for e in ended] == [False] * 4 + [True]
    assert ended[-1].job.name == "soft-tcm-0"
    assert children.modules() == ["training fit", "training.study.judging"]
    assert next(carry_out(jobs, [SLOT], children)).is_new is False


def test_a_stop_is_no_failure_and_the_same_jobs_go_on(
    jobs: list[Job], capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[Ended] = []
    with pytest.raises(StoppedError, match="stopped with 4 runs to go"):
        ended.extend(carry_out(jobs, [SLOT], StopsItself()))
    assert "stopping: the runs under way save their state" in capsys.readouterr().err

    again = list(carry_out(jobs, [SLOT], FakeRunner()))

    assert [e.error for e in again] == [None] * 5

import os
import resource
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.contract.errors import (
    ChangesCorruptError,
    ChangesError,
    ChangesLockedError,
    ChangesNotKeptError,
)
from service.products.change import Change, ProductRecord, WantedChange
from service.products.log import LOG, NEW, ChangesLog

SONY = WantedChange("p-1", ProductRecord("Sony WH-1000XM4", {"brand": "Sony"}))
GONE = WantedChange("p-2", None)


def reopened(log: ChangesLog, folder: Path) -> ChangesLog:
    log.close()
    return ChangesLog.open(folder)


def facts(changes: tuple[Change, ...]) -> list[tuple[int, str]]:
    return [(change.sequence, change.product_id) for change in changes]


@contextmanager
def files_of_at_most(size: int) -> Generator[None]:
    """Let no file of this process grow beyond ``size``, as on a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_appended_is_there_after_the_log_is_opened_again(tmp_path: Path) -> None:
    log = ChangesLog.open(tmp_path / "changes")
    kept = log.append([SONY, GONE])
    log = reopened(log, tmp_path / "changes")
    more = log.append([SONY])
    log = reopened(log, tmp_path / "changes")

    assert list(log.replayed) == [*kept, *more]
    assert facts(log.replayed) == [(1, "p-1"), (2, "p-2"), (3, "p-1")]
    assert (log.lines, log.size) == (3, (tmp_path / "changes" / LOG).stat().st_size)
    log.close()


def test_only_one_process_has_a_log_open(tmp_path: Path) -> None:
    log = ChangesLog.open(tmp_path)
    with pytest.raises(ChangesLockedError, match="another process writes the changes"):
        ChangesLog.open(tmp_path)
    log.close()

    ChangesLog.open(tmp_path).close()


def test_a_torn_line_is_cut_off_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = ChangesLog.open(tmp_path)
    log.append([SONY])
    whole = (tmp_path / LOG).read_bytes()
    (tmp_path / LOG).write_bytes(whole + whole.splitlines()[-1][:20])
    log = reopened(log, tmp_path)
    log.append([GONE])
    log = reopened(log, tmp_path)

    assert facts(log.replayed) == [(1, "p-1"), (2, "p-2")]
    assert [r.message for r in caplog.records] == [
        "cut off a change that was not written to its end"
    ]
    log.close()


def test_an_altered_log_is_refused_and_not_touched(tmp_path: Path) -> None:
    log = ChangesLog.open(tmp_path)
    log.append([SONY, GONE])
    altered = (tmp_path / LOG).read_bytes().replace(b"XM4", b"XM5")
    (tmp_path / LOG).write_bytes(altered)
    log.close()

    with pytest.raises(ChangesCorruptError, match=r"changes\.log: line 2 .*restore the file"):
        ChangesLog.open(tmp_path)
    assert (tmp_path / LOG).read_bytes() == altered
    with pytest.raises(ChangesCorruptError):  # and the lock was let go
        ChangesLog.open(tmp_path)


def test_a_folder_that_is_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ChangesError, match="cannot be opened"):
        ChangesLog.open(tmp_path / "file")


def test_a_full_disk_keeps_nothing_of_a_change_and_the_log_goes_on(tmp_path: Path) -> None:
    log = ChangesLog.open(tmp_path)
    log.append([SONY])
    size = log.size
    with files_of_at_most(size + 40), pytest.raises(ChangesNotKeptError, match="cannot be written"):
        log.append([GONE])
    cut = (tmp_path / LOG).stat().st_size
    log.append([GONE])
    log = reopened(log, tmp_path)

    assert cut == size
    assert facts(log.replayed) == [(1, "p-1"), (2, "p-2")]
    log.close()


def test_a_log_that_cannot_be_cut_back_is_cut_before_the_next_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ChangesLog.open(tmp_path)
    log.append([SONY])

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        for _ in range(2):
            with pytest.raises(ChangesNotKeptError, match="Input/output error"):
                log.append([GONE])
    log.append([SONY])
    log = reopened(log, tmp_path)

    assert facts(log.replayed) == [(1, "p-1"), (2, "p-1")]
    log.close()


def test_a_compacted_log_holds_what_it_was_given_and_goes_on(tmp_path: Path) -> None:
    log = ChangesLog.open(tmp_path)
    for _ in range(20):
        log.append([SONY])
    (last,) = log.append([GONE])
    before = log.size
    log.compact([last])
    assert log.size < before
    assert log.lines == 1
    log.append([SONY])
    log = reopened(log, tmp_path)

    assert facts(log.replayed) == [(21, "p-2"), (22, "p-1")]
    log.close()


def test_a_log_without_room_to_be_compacted_goes_on_as_it_was(tmp_path: Path) -> None:
    log = ChangesLog.open(tmp_path)
    kept = log.append([SONY, GONE])
    with files_of_at_most(60), pytest.raises(ChangesNotKeptError):
        log.compact(kept)
    assert not (tmp_path / NEW).exists()
    log.append([SONY])
    log = reopened(log, tmp_path)

    assert facts(log.replayed) == [(1, "p-1"), (2, "p-2"), (3, "p-1")]
    log.close()


def test_a_log_that_had_not_taken_its_place_is_cleared_away(tmp_path: Path) -> None:
    log = ChangesLog.open(tmp_path)
    log.append([SONY])
    (tmp_path / NEW).write_bytes(b"half a lo")
    log = reopened(log, tmp_path)

    assert facts(log.replayed) == [(1, "p-1")]
    assert not (tmp_path / NEW).exists()
    log.close()


WRITER = """
import sys
from pathlib import Path
from service.products.change import ProductRecord, WantedChange
from service.products.log import ChangesLog

log = ChangesLog.open(Path(sys.argv[1]))
kept = {one.product_id: one for one in log.replayed}
for round in range(1_000_000):
    product = None if round % 5 == 4 else ProductRecord(f"title {round}", {})
    for one in log.append([WantedChange(f"p-{round % 7}", product)]):
        kept[one.product_id] = one
        sys.stdout.write(f"{one.sequence} {one.product_id} {one.product and one.product.title}\\n")
        sys.stdout.flush()
    if round % 3 == 2:
        log.compact(sorted(kept.values(), key=lambda one: one.sequence))
"""


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_process_leaves_every_change_that_it_had_kept(tmp_path: Path, seed: int) -> None:
    """It compacts its log all the time, so that it is killed amidst that as well."""
    acknowledged: dict[str, tuple[int, str]] = {}
    for _ in range(2):
        child = subprocess.Popen(  # noqa: S603  # our own code
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(40 + 13 * seed)]
        child.kill()
        lines += child.stdout.readlines()
        child.stdout.close()
        child.wait()
        for line in lines:
            if line.endswith("\n"):
                sequence, product_id, title = line.rstrip("\n").split(" ", 2)
                acknowledged[product_id] = (int(sequence), title)
        log = ChangesLog.open(tmp_path)
        found = {
            one.product_id: (one.sequence, one.product.title if one.product else "None")
            for one in log.replayed
        }
        log.close()

        for product_id, kept in acknowledged.items():
            assert found[product_id] >= kept  # one that was kept and not yet said may be newer

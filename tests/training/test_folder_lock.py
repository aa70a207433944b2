import subprocess
import sys
from pathlib import Path

import pytest

from service.contract.errors import CheckpointError
from tests.tiny_data import tiny_config
from training.data.folders import DataFolder
from training.folder_lock import alone_in
from training.loop import fit


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with (
        alone_in(tmp_path / "run"),
        pytest.raises(CheckpointError, match="another process trains into"),
        alone_in(tmp_path / "run"),
    ):
        pass


def test_the_folder_is_free_again_after_the_block_and_nothing_is_left(tmp_path: Path) -> None:
    with alone_in(tmp_path / "new" / "run"), alone_in(tmp_path / "new" / "other"):
        pass
    with alone_in(tmp_path / "new" / "run"):
        pass

    assert list((tmp_path / "new").iterdir()) == []


def test_a_process_that_died_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from training.folder_lock import alone_in\n"
        "with alone_in(Path(sys.argv[1])): os._exit(9)"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False)  # noqa: S603

    assert died.returncode == 9
    with alone_in(tmp_path / "run"):
        pass


def test_a_lock_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(CheckpointError, match="cannot be made") as caught,
        alone_in(tmp_path / "file" / "run"),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_training_into_a_folder_in_use_leaves_it_alone(
    tmp_path: Path, data: DataFolder, encoder: Path
) -> None:
    out = tmp_path / "checkpoint"
    with alone_in(out), pytest.raises(CheckpointError, match="another process trains into"):
        fit(tiny_config(encoder), data, out)

    assert not out.exists()

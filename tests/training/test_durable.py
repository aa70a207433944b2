from pathlib import Path

import pytest

from training.durable import flush_to_disk


def test_files_and_folders_are_flushed_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")

    flush_to_disk(tmp_path / "file")
    flush_to_disk(tmp_path)

    assert (tmp_path / "file").read_text() == "kept"
    with pytest.raises(FileNotFoundError):
        flush_to_disk(tmp_path / "gone")

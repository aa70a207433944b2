from pathlib import Path

import pytest

from export.demo import run_demo
from service.contract.errors import ConfigError, DataError
from tests.tiny_data import write_data


@pytest.mark.parametrize("split", ["train", "calibration", "test"])
def test_queries_that_a_later_step_lacks_are_said_before_the_training(
    tmp_path: Path, split: str
) -> None:
    matches = write_data(tmp_path / "data") / "matches.csv"
    lines = matches.read_text().splitlines(keepends=True)
    matches.write_text("".join(line for line in lines if not line.endswith(f",{split}\n")))

    with pytest.raises(DataError, match=f"no query with split {split}"):
        run_demo(tmp_path / "work", data=tmp_path / "data")


def test_a_file_in_the_place_of_its_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("mine")

    with pytest.raises(ConfigError, match="is a file or holds files that no demo wrote"):
        run_demo(tmp_path / "work")
    assert (tmp_path / "work").read_text() == "mine"

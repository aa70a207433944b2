"""The demo's own care, on tiny data; the whole of it is in test_main_job.py."""

from pathlib import Path

import pytest

from export import demo
from service.contract.errors import ConfigError
from tests.tiny_data import read_data, tiny_config, write_data
from tests.tiny_encoder import write_tiny_encoder


@pytest.fixture
def tiny_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo with a recipe of seconds instead of minutes."""
    data = read_data(tmp_path / "texts")
    encoder = write_tiny_encoder(
        tmp_path / "encoder", data.products.texts(("title",)) + [q.text for q in data.queries]
    )
    monkeypatch.setattr(demo, "load_config", lambda _: tiny_config(encoder))


@pytest.mark.usefixtures("tiny_recipe")
def test_it_does_the_same_on_a_folder_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice: what an earlier demo left is replaced, the data folder stays as it is."""
    folder = write_data(tmp_path / "mine")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    for _ in range(2):
        demo.run_demo(tmp_path / "work", data=folder)

    said = capsys.readouterr().out
    assert said.count("5/5 three questions for the running service") == 2
    assert "manual_review: " in said
    assert (tmp_path / "work" / "evaluation.png").exists()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_it_does_not_empty_a_folder_that_no_demo_wrote(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(ConfigError, match="holds files that no demo wrote"):
        demo.run_demo(tmp_path)
    assert (tmp_path / "thesis.txt").exists()

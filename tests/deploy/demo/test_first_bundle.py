import shutil
from pathlib import Path

import pytest

from deploy.demo import first_bundle
from service.contract.bundle import ENCODER, open_bundle
from service.contract.pointer import publish, resolve_bundle


@pytest.fixture
def bundles(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A folder in which a bundle is published."""
    shutil.copytree(tiny_bundle, tmp_path / first_bundle.NAME)
    publish(tmp_path, first_bundle.NAME)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> str:
    output = capsys.readouterr()
    return output.out + output.err


def test_a_folder_that_has_a_bundle_is_left_alone(
    bundles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in bundles.rglob("*")}

    assert first_bundle.main(["--bundles", str(bundles)]) == 0
    assert "nothing to do" in said(capsys)
    assert {path: path.stat().st_mtime_ns for path in bundles.rglob("*")} == before


def test_a_torn_bundle_is_named_and_not_replaced(
    bundles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = bundles / first_bundle.NAME / ENCODER
    torn.write_bytes(torn.read_bytes()[:-1])

    assert first_bundle.main(["--bundles", str(bundles)]) == 1
    assert ENCODER in said(capsys)


def test_a_bundle_that_was_sealed_before_a_cut_is_only_published(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / first_bundle.NAME)

    assert first_bundle.main(["--bundles", str(tmp_path)]) == 0
    assert resolve_bundle(tmp_path) == tmp_path / first_bundle.NAME


def test_a_volume_with_too_little_room_is_told_so_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_bundle, "NEEDED_BYTES", 1 << 62)

    assert first_bundle.main(["--bundles", str(tmp_path)]) == 1
    assert "MiB free" in said(capsys)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert first_bundle.main(["--bundles", str(tmp_path / "none")]) == 1
    assert "mount a volume" in said(capsys)


@pytest.mark.slow
def test_an_empty_folder_gets_a_bundle_that_opens_and_nothing_else(tmp_path: Path) -> None:
    arguments = ["--bundles", str(tmp_path), "--products", "30", "--epochs", "1"]

    assert first_bundle.main(arguments) == 0
    assert open_bundle(resolve_bundle(tmp_path)).manifest.catalogue.products == 30
    assert {path.name for path in tmp_path.iterdir()} == {first_bundle.NAME, "CURRENT"}

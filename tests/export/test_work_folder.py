from pathlib import Path

import pytest

from export.vector_file import NOTES
from export.work_folder import work_beside
from service.contract.errors import BundleError


def fail_with_vectors(out: Path) -> None:
    with work_beside(out) as work:
        (work / NOTES).touch()
        raise KeyboardInterrupt


def test_nothing_is_left_of_a_build_that_came_to_its_end(tmp_path: Path) -> None:
    with work_beside(tmp_path / "b") as work:
        (work / NOTES).touch()
        (tmp_path / "b").mkdir()

    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_build_that_failed_leaves_its_vectors_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail_with_vectors(tmp_path / "b")

    assert [path.name for path in tmp_path.iterdir()] == [".b.partial"]
    assert str(tmp_path / ".b.partial") in capsys.readouterr().err


def test_a_build_that_failed_without_vectors_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), work_beside(tmp_path / "b"):
        raise KeyboardInterrupt

    assert list(tmp_path.iterdir()) == []


def test_half_a_bundle_of_a_killed_build_is_removed_and_its_vectors_stay(tmp_path: Path) -> None:
    half = tmp_path / ".b.partial" / ".b-half"
    half.mkdir(parents=True)
    (half / "encoder.onnx").touch()
    (half.parent / NOTES).touch()

    with work_beside(tmp_path / "b") as work:
        assert [path.name for path in work.iterdir()] == [NOTES]


def test_a_second_builder_of_the_same_bundle_is_refused_in_one_line(tmp_path: Path) -> None:
    with (
        work_beside(tmp_path / "b") as work,
        pytest.raises(BundleError, match=r"another process builds .*b; wait for it or") as caught,
        work_beside(tmp_path / "b"),
    ):
        pass

    assert not work.exists()
    assert "\n" not in str(caught.value)


def test_two_bundles_may_be_built_side_by_side(tmp_path: Path) -> None:
    with work_beside(tmp_path / "a") as one, work_beside(tmp_path / "b") as other:
        assert one != other


def test_a_place_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")

    with pytest.raises(BundleError, match="already exists"), work_beside(tmp_path / "b"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(BundleError, match=r"b cannot be written \(No space left on device\)"),
        work_beside(tmp_path / "b"),
    ):
        raise OSError(28, "No space left on device")

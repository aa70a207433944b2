import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from service.contract.bundle import MANIFEST
from service.contract.errors import BundleCorruptError, BundleError
from service.contract.pointer import CURRENT, named_bundle, publish, resolve_bundle

ROOT = Path(__file__).parents[3]
PUBLISH_FOR_EVER = """
import itertools, pathlib, sys
from service.contract.pointer import publish
root = pathlib.Path(sys.argv[1])
print("ready", flush=True)
for name in itertools.cycle(["old", "new"]):
    publish(root, name)
"""
NO_NAMES = ["", ".", "..", "../old", "old/", "/old", "a\\b", ".old", "o\nld", "old\0", "é" * 200]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of two bundles; nothing but their names matters here."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / MANIFEST).write_text("{}")
    return tmp_path


def test_a_bundle_stands_for_itself(root: Path) -> None:
    assert resolve_bundle(root / "old") == root / "old"


def test_a_bundle_stands_for_itself_whatever_lies_in_it(root: Path) -> None:
    (root / "old" / CURRENT).write_text("new\n")

    assert resolve_bundle(root / "old") == root / "old"


@pytest.mark.parametrize("line", ["new", "new\n", "new\r\n"])
def test_a_folder_of_bundles_stands_for_the_one_it_names(root: Path, line: str) -> None:
    (root / CURRENT).write_bytes(line.encode())

    assert resolve_bundle(root) == root / "new"


def test_the_bundle_that_is_named_need_not_be_there(root: Path) -> None:
    (root / CURRENT).write_text("later\n")

    assert resolve_bundle(root) == root / "later"


@pytest.mark.parametrize("content", [*NO_NAMES, "\n", "old\nnew", " \t", "old\n\n"])
def test_a_pointer_that_holds_no_name_is_refused_by_its_path(root: Path, content: str) -> None:
    (root / CURRENT).write_bytes(content.encode())

    with pytest.raises(BundleCorruptError, match="is no name of a bundle") as refused:
        resolve_bundle(root)
    assert str(refused.value).startswith(str(root / CURRENT))
    assert "\n" not in str(refused.value)


def test_a_pointer_that_is_no_text_is_refused(root: Path) -> None:
    (root / CURRENT).write_bytes(b"\xff\xfe")

    with pytest.raises(BundleCorruptError, match="cannot be followed"):
        resolve_bundle(root)


def test_a_pointer_that_is_a_folder_is_refused(root: Path) -> None:
    (root / CURRENT).mkdir()

    with pytest.raises(BundleCorruptError, match="cannot be followed"):
        resolve_bundle(root)


@pytest.mark.parametrize("name", ["empty", "nowhere"])
def test_a_folder_with_neither_manifest_nor_pointer_is_no_bundle(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(BundleCorruptError, match=f"no bundle in {tmp_path / name}: "):
        resolve_bundle(tmp_path / name)


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_leads_out_of_the_folder_is_refused(root: Path, name: str) -> None:
    with pytest.raises(BundleError, match="is no name of a bundle"):
        named_bundle(root, name)
    with pytest.raises(BundleError, match="is no name of a bundle"):
        publish(root, name)


def test_what_was_published_last_is_what_is_served(root: Path) -> None:
    publish(root, "old")
    publish(root, "new")

    assert resolve_bundle(root) == root / "new"
    assert (root / CURRENT).read_bytes() == b"new\n"
    assert (root / CURRENT).stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in root.iterdir()) == [CURRENT, "new", "old"]


def test_a_bundle_that_is_not_there_is_not_published(root: Path) -> None:
    publish(root, "old")

    with pytest.raises(BundleError, match=rf"later has no {MANIFEST}"):
        publish(root, "later")
    assert resolve_bundle(root) == root / "old"


def test_a_rename_that_fails_leaves_the_old_name_and_no_litter(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(root, "old")

    def fail(_path: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail)
        with pytest.raises(BundleError, match="cannot be written"):
            publish(root, "new")
    assert resolve_bundle(root) == root / "old"
    assert sorted(path.name for path in root.iterdir()) == [CURRENT, "new", "old"]


def test_readers_and_writers_at_the_same_time_see_one_name_or_the_other(root: Path) -> None:
    publish(root, "old")
    writers = [
        threading.Thread(target=lambda name=name: [publish(root, name) for _ in range(50)])
        for name in ("old", "new")
    ]

    for writer in writers:
        writer.start()
    seen = set[Path]()
    while any(writer.is_alive() for writer in writers):
        seen.add(resolve_bundle(root))
    for writer in writers:
        writer.join()

    assert seen <= {root / "old", root / "new"}
    assert sorted(path.name for path in root.iterdir()) == [CURRENT, "new", "old"]


def reads_until_the_kill(root: Path, seed: int) -> set[Path]:
    """Read while a process publishes, kill it at some point, and read once more."""
    command = [sys.executable, "-c", PUBLISH_FOR_EVER, str(root)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as publisher:  # noqa: S603
        assert publisher.stdout is not None
        assert publisher.stdout.readline() == b"ready\n"
        reads = random.Random(seed).randrange(1500)  # noqa: S311  # a moment, not a secret
        seen = {resolve_bundle(root) for _ in range(reads)}
        publisher.kill()
    return seen | {resolve_bundle(root)}


@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(3, 40), marks=pytest.mark.slow)])
def test_a_publisher_that_is_killed_leaves_the_old_bundle_or_the_new_one(
    root: Path, seeds: range
) -> None:
    publish(root, "old")

    seen = {found for seed in seeds for found in reads_until_the_kill(root, seed)}

    assert seen == {root / "old", root / "new"}

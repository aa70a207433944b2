import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from export.bundle_writer import new_bundle, seal
from service.contract.bundle import MANIFEST, REQUIRED, Bundle, open_bundle
from service.contract.errors import BundleCorruptError, BundleError
from service.contract.manifest import FileDigest, Manifest
from service.opening import open_recommender

REPOSITORY = Path(__file__).parents[2]

KILL_BUILDS_AT_RANDOM = """
import os, random, shutil, signal, sys, time
from pathlib import Path
from export.bundle_writer import new_bundle, seal
from service.contract.bundle import open_bundle

source, parent = Path(sys.argv[1]), Path(sys.argv[2])
manifest = open_bundle(source).manifest

def build(out):
    with new_bundle(out) as folder:
        for name in manifest.files:
            shutil.copy(source / name, folder / name)
        seal(folder, out, lambda files: manifest.model_copy(update={"files": files}))

started = time.perf_counter()
build(parent / "unharmed")
needed = time.perf_counter() - started
for seed in range(30):
    child = os.fork()
    if not child:
        try:
            build(parent / f"killed-{seed}")
        finally:
            os._exit(0)
    time.sleep(random.Random(seed).uniform(0, 1.3 * needed))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def build_like(
    source: Path, out: Path, *, disturb: Callable[[Path], object] = lambda _: None
) -> Bundle:
    """Build the bundle of ``source`` again; ``disturb`` gets the folder just before the seal."""
    manifest = open_bundle(source).manifest
    with new_bundle(out) as folder:
        fill(folder, source)
        disturb(folder)
        return seal(folder, out, lambda files: manifest.model_copy(update={"files": files}))


def fill(folder: Path, source: Path) -> None:
    for name in REQUIRED:
        shutil.copy(source / name, folder / name)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_sealed_bundle_opens_and_is_the_one_that_was_announced(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    sealed = build_like(tiny_bundle, tmp_path / "out")

    assert sealed == open_bundle(tmp_path / "out")
    assert open_recommender(tmp_path / "out")[1] == sealed.manifest


def test_the_same_content_makes_the_same_bundle_to_the_byte(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    build_like(tiny_bundle, tmp_path / "out")

    assert content(tmp_path / "out") == content(tiny_bundle)


def test_the_manifest_is_made_from_the_digests_of_every_file(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    seen: dict[str, FileDigest] = {}
    manifest = open_bundle(tiny_bundle).manifest

    def make_manifest(files: dict[str, FileDigest]) -> Manifest:
        seen.update(files)
        return manifest.model_copy(update={"files": files, "digest": "unsealed"})

    with new_bundle(tmp_path / "out") as folder:
        fill(folder, tiny_bundle)
        seal(folder, tmp_path / "out", make_manifest)

    assert seen == manifest.files


def test_only_the_bundle_is_left_beside_its_neighbours(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "neighbour").mkdir()

    build_like(tiny_bundle, tmp_path / "out")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["neighbour", "out"]


def test_nothing_is_seen_at_the_place_of_the_bundle_before_it_is_sealed(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    manifest = open_bundle(tiny_bundle).manifest

    def make_manifest(files: dict[str, FileDigest]) -> Manifest:
        assert not out.exists()
        return manifest.model_copy(update={"files": files})

    with new_bundle(out) as folder:
        fill(folder, tiny_bundle)
        assert not out.exists()
        seal(folder, out, make_manifest)

    assert out.exists()


def test_a_missing_parent_folder_is_made(tiny_bundle: Path, tmp_path: Path) -> None:
    build_like(tiny_bundle, tmp_path / "runs" / "today" / "out")

    assert open_bundle(tmp_path / "runs" / "today" / "out")


def test_an_empty_folder_becomes_the_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    build_like(tiny_bundle, tmp_path / "out")

    assert open_bundle(tmp_path / "out")


def test_a_path_without_a_folder_before_it_works(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    build_like(tiny_bundle, Path("out"))

    assert open_bundle(tmp_path / "out")


def test_everybody_may_read_a_bundle_and_only_its_owner_may_change_it(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        build_like(tiny_bundle, tmp_path / "out")
    finally:
        os.umask(before)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()}
    assert (modes, stat.S_IMODE((tmp_path / "out").stat().st_mode)) == ({0o644}, 0o755)


def a_bundle(out: Path) -> None:
    out.mkdir()
    (out / MANIFEST).write_text("{}")


def a_file(out: Path) -> None:
    out.write_text("words")


def a_hidden_file(out: Path) -> None:
    out.mkdir()
    (out / ".keep").write_text("")


def a_link_to_an_empty_folder(out: Path) -> None:
    (out.parent / "elsewhere").mkdir()
    out.symlink_to("elsewhere")


def a_link_to_nothing(out: Path) -> None:
    out.symlink_to("nowhere")


@pytest.mark.parametrize(
    "occupy", [a_bundle, a_file, a_hidden_file, a_link_to_an_empty_folder, a_link_to_nothing]
)
def test_a_place_that_is_taken_is_refused_before_the_work_and_left_as_it_was(
    tmp_path: Path, occupy: Callable[[Path], None]
) -> None:
    occupy(tmp_path / "out")
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(BundleError, match="name a"), new_bundle(tmp_path / "out"):
        pytest.fail("the work was begun")

    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("out", [".", "..", "/", "/proc", "folder/.."])
def test_a_place_that_no_folder_can_be_renamed_to_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")

    with pytest.raises(BundleError, match="name a"), new_bundle(Path(out)):
        pytest.fail("the work was begun")

    assert list(tmp_path.rglob("*")) == [tmp_path / "folder"]


def test_a_parent_that_is_a_file_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(BundleError, match="no bundle can be written to"),
        new_bundle(tmp_path / "file" / "out"),
    ):
        pytest.fail("the work was begun")


class PowerCutError(Exception):
    """The work stops here."""


def cut_the_power(_: object) -> Manifest:
    raise PowerCutError


def test_a_failure_in_the_middle_leaves_no_trace(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(PowerCutError):
        build_like(tiny_bundle, tmp_path / "out", disturb=cut_the_power)

    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_the_manifest_is_made_leaves_no_trace(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    def seal_without_power(folder: Path) -> None:
        seal(folder, tmp_path / "out", cut_the_power)

    with pytest.raises(PowerCutError):
        build_like(tiny_bundle, tmp_path / "out", disturb=seal_without_power)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", REQUIRED)
def test_a_bundle_without_one_of_its_files_is_not_sealed(
    tiny_bundle: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(BundleCorruptError, match=name):
        build_like(tiny_bundle, tmp_path / "out", disturb=lambda folder: (folder / name).unlink())

    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_appeared_meanwhile_is_neither_replaced_nor_mixed(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def build_another(_: Path) -> None:
        build_like(tiny_bundle, out)
        (out / "mark").write_text("the other one")

    with pytest.raises(BundleError, match="cannot be moved to"):
        build_like(tiny_bundle, out, disturb=build_another)

    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (out / "mark").read_text() == "the other one"
    assert open_bundle(out)


def test_a_build_that_is_killed_leaves_a_whole_bundle_or_none(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    subprocess.run(  # noqa: S603  # our own interpreter with our own words
        [sys.executable, "-c", KILL_BUILDS_AT_RANDOM, str(tiny_bundle), str(tmp_path)],
        cwd=REPOSITORY,
        check=True,
        timeout=60,
    )

    expected = content(tiny_bundle)
    killed = [tmp_path / f"killed-{seed}" for seed in range(30)]
    finished = [out for out in killed if out.exists()]
    assert [content(out) == expected for out in finished] == [True] * len(finished)
    assert content(tmp_path / "unharmed") == expected
    assert len(finished) < len(killed)
    for out in set(killed) - set(finished):
        assert content(build_like(tiny_bundle, out).folder) == expected

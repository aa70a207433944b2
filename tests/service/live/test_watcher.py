import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from service.contract.bundle import MANIFEST
from service.contract.pointer import CURRENT, publish
from service.live.outcomes import RefusedError
from service.live.watcher import PointerWatcher


class Swaps:
    """Takes every bundle but those in ``bad``, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.bad: set[str] = set()

    async def __call__(self, folder: Path) -> None:
        self.asked.append(folder.name)
        if folder.name in self.bad:
            message = f"{folder} is torn"
            raise RefusedError(message)


@pytest.fixture
def swaps() -> Swaps:
    return Swaps()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / MANIFEST).write_text("{}")
    publish(tmp_path, "a")
    return tmp_path


def watcher(root: Path, swaps: Swaps, asked: Path | None = None) -> PointerWatcher:
    return PointerWatcher(root, swaps, watch_seconds=0.001, asked=asked)


def looks(watch: PointerWatcher, *, times: int = 3) -> None:
    async def scenario() -> None:
        for _ in range(times):
            await watch.look()

    asyncio.run(scenario())


def test_what_is_named_is_asked_for_once(root: Path, swaps: Swaps) -> None:
    looks(watcher(root, swaps))

    assert swaps.asked == ["a"]


def test_what_is_served_already_is_not_asked_for(root: Path, swaps: Swaps) -> None:
    looks(watcher(root, swaps, asked=root / "a"))

    assert swaps.asked == []


def test_every_new_name_is_asked_for(root: Path, swaps: Swaps) -> None:
    watch = watcher(root, swaps, asked=root / "a")

    for name in ("b", "c", "c", "b", "a"):
        publish(root, name)
        looks(watch)

    assert swaps.asked == ["b", "c", "b", "a"]


def test_a_roll_back_stays_until_another_name_is_published(root: Path, swaps: Swaps) -> None:
    """A roll back happens behind the watch's back; what matters is that it asks for nothing."""
    watch = watcher(root, swaps)
    publish(root, "b")
    looks(watch)

    (root / "b" / MANIFEST).write_text("{ }")
    publish(root, "b")
    looks(watch)
    assert swaps.asked == ["b"]

    publish(root, "c")
    looks(watch)
    assert swaps.asked == ["b", "c"]


def test_a_bundle_that_is_refused_is_not_asked_for_at_every_look(root: Path, swaps: Swaps) -> None:
    swaps.bad.add("b")
    watch = watcher(root, swaps, asked=root / "a")

    publish(root, "b")
    looks(watch)

    assert swaps.asked == ["b"]


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


CHANGES: dict[str, Callable[[Path], object]] = {
    "its manifest is written again": lambda root: touch(root / "b" / MANIFEST),
    "its manifest grows": lambda root: (root / "b" / MANIFEST).write_text("{ }"),
    "another of its files comes": lambda root: (root / "b" / "encoder.onnx").write_text("late"),
    "its manifest is lost": lambda root: (root / "b" / MANIFEST).unlink(),
    "it is gone": lambda root: shutil.rmtree(root / "b"),
    "it is published again": lambda root: publish(root, "b"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_bundle_that_was_refused_is_asked_for_again_when(
    root: Path, swaps: Swaps, change: Callable[[Path], object]
) -> None:
    swaps.bad.add("b")
    watch = watcher(root, swaps, asked=root / "a")
    publish(root, "b")
    looks(watch)

    change(root)
    looks(watch)
    assert swaps.asked == ["b", "b"]

    swaps.bad.clear()
    looks(watch)
    assert swaps.asked == ["b", "b"]


def test_the_old_name_after_a_refusal_is_asked_for(root: Path, swaps: Swaps) -> None:
    swaps.bad.add("b")
    watch = watcher(root, swaps, asked=root / "a")

    for name in ("b", "a"):
        publish(root, name)
        looks(watch)

    assert swaps.asked == ["b", "a"]


def test_a_pointer_that_names_nothing_is_logged_once_and_asks_for_nothing(
    root: Path, swaps: Swaps, caplog: pytest.LogCaptureFixture
) -> None:
    watch = watcher(root, swaps, asked=root / "a")

    (root / CURRENT).write_text("../elsewhere\n")
    looks(watch)
    (root / CURRENT).unlink()
    looks(watch)

    assert swaps.asked == []
    lines = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.message for record in lines] == ["no bundle is named"] * 2
    assert "../elsewhere" in vars(lines[0])["reason"]


def test_a_pointer_that_was_gone_for_a_while_undoes_no_roll_back(root: Path, swaps: Swaps) -> None:
    watch = watcher(root, swaps, asked=root / "a")
    (root / CURRENT).unlink()
    looks(watch)

    publish(root, "a")
    looks(watch)

    assert swaps.asked == []


def test_a_bundle_instead_of_a_folder_of_bundles_names_itself(root: Path, swaps: Swaps) -> None:
    looks(watcher(root / "a", swaps, asked=root / "a"))

    assert swaps.asked == []


def test_the_watch_goes_on_whatever_happens_in_one_look(
    root: Path, swaps: Swaps, caplog: pytest.LogCaptureFixture
) -> None:
    looked = asyncio.Event()

    async def swap(folder: Path) -> None:
        await swaps(folder)
        if len(swaps.asked) == 1:
            message = "a bug"
            raise LookupError(message)
        looked.set()

    async def scenario() -> None:
        watch = asyncio.create_task(PointerWatcher(root, swap, watch_seconds=0.001).run())
        async with asyncio.timeout(20):
            await looked.wait()
        watch.cancel()

    asyncio.run(scenario())

    assert swaps.asked == ["a", "a"]
    assert [record.message for record in caplog.records] == ["the watch failed"]


def test_the_watch_says_what_keeps_it_from_a_bundle(root: Path, swaps: Swaps) -> None:
    swaps.bad.add("b")
    watch = watcher(root, swaps)
    said = [watch.trouble]
    for change in (
        lambda: publish(root, "b"),
        (root / CURRENT).unlink,
        lambda: publish(root, "c"),
    ):
        change()
        looks(watch)
        said.append(watch.trouble)

    assert said[0] == said[3] == ""
    assert "torn" in said[1]
    assert "no bundle in" in said[2]

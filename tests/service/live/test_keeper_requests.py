import asyncio
import shutil
import weakref
from pathlib import Path

import pytest

from service.contract.errors import BundleCorruptError
from service.live.outcomes import NoPreviousError, RefusedError, SwapOutcome, SwapStatus
from service.opening import OpenBundle, open_bundle_to_serve
from service.retrievers import Retriever
from tests.service.live.kept import (
    SUPERSEDED,
    SWAPPED,
    Doors,
    run,
    serving,
    settle,
)


def is_corrupt(_new: object) -> None:
    message = "the encoder depends on its neighbours; build the bundle again"
    raise BundleCorruptError(message)


def test_requests_during_an_opening_are_brought_together(shelf: Path, ids: dict[str, str]) -> None:
    async def scenario() -> None:
        doors = Doors()
        async with serving(shelf / "a", doors) as service:
            doors.close("b")
            ask = [asyncio.create_task(service.keeper.swap(shelf / "b"))]
            await doors.until_reached("b")
            for name in ("c", "a", "c", "c"):
                ask.append(asyncio.create_task(service.keeper.swap(shelf / name)))
                await settle()
            assert service.bundle_id == ids["a"]
            doors.open["b"].set()

            found = [(one.status, one.bundle_id) for one in await asyncio.gather(*ask)]
            c = ids["c"]
            assert (
                found == [(SWAPPED, ids["b"]), (SWAPPED, c), (SUPERSEDED, c)] + [(SWAPPED, c)] * 2
            )
            assert doors.opened == ["a", "b", "c"]

    run(scenario())


def test_ten_requests_a_second_time_open_one_bundle_at_a_time(shelf: Path) -> None:
    async def scenario() -> None:
        under_way, most = 0, 0

        def opener(folder: Path, *, current: OpenBundle | None) -> OpenBundle:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                return open_bundle_to_serve(folder, current=current)
            finally:
                under_way -= 1

        async with serving(shelf / "a", opener) as service:
            asked: list[asyncio.Task[SwapOutcome]] = []
            for turn in range(60):
                folder = shelf / "abc"[turn % 3]
                asked.append(asyncio.create_task(service.keeper.swap(folder)))
                await settle()
            outcomes = await asyncio.gather(*asked)

            assert most == 1
            assert {outcome.status for outcome in outcomes} <= set(SwapStatus)
            assert service.keeper.current is not None
            assert service.keeper.current.folder == shelf / "c"

    run(scenario())


def test_a_caller_who_leaves_does_not_stop_the_opening(shelf: Path, ids: dict[str, str]) -> None:
    async def scenario() -> None:
        doors = Doors()
        async with serving(shelf / "a", doors) as service:
            doors.close("b")
            leaves, stays = [
                asyncio.create_task(service.keeper.swap(shelf / "b")) for _ in range(2)
            ]
            await doors.until_reached("b")
            leaves.cancel()
            await settle()
            doors.open["b"].set()

            assert (await stays).status is SWAPPED
            assert leaves.cancelled()
            assert service.bundle_id == ids["b"]

    run(scenario())


def test_a_roll_back_brings_the_previous_bundle_back_without_its_files(
    shelf: Path, tmp_path: Path, ids: dict[str, str]
) -> None:
    async def scenario() -> None:
        doors = Doors()
        shutil.copytree(shelf / "a", tmp_path / "a")
        async with serving(tmp_path / "a", doors) as service:
            held = service.answers
            await service.keeper.swap(shelf / "b")
            shutil.rmtree(tmp_path / "a")

            outcome = await service.keeper.roll_back()

            assert (outcome.status, outcome.bundle_id) == (SWAPPED, ids["a"])
            assert service.answers is held
            assert service.keeper.current is held
            assert service.best_product() == "p-4"
            assert doors.opened == ["a", "b"]

    run(scenario())


def test_a_roll_back_that_is_sent_twice_does_not_bring_the_bad_bundle_back(
    shelf: Path, ids: dict[str, str]
) -> None:
    async def scenario() -> None:
        async with serving(shelf / "a") as service:
            with pytest.raises(NoPreviousError, match="roll back"):
                await service.keeper.roll_back()
            await service.keeper.swap(shelf / "b")
            await service.keeper.roll_back()
            with pytest.raises(NoPreviousError, match="roll back"):
                await service.keeper.roll_back()

            assert service.bundle_id == ids["a"]

    run(scenario())


def test_a_roll_back_during_an_opening_is_the_last_word(shelf: Path, ids: dict[str, str]) -> None:
    async def scenario() -> None:
        doors = Doors()
        async with serving(shelf / "a", doors) as service:
            await service.keeper.swap(shelf / "b")
            doors.close("c")
            ask = [asyncio.create_task(service.keeper.swap(shelf / "c"))]
            await doors.until_reached("c")
            ask.append(asyncio.create_task(service.keeper.swap(shelf / "b")))
            await settle()
            await service.keeper.roll_back()
            doors.open["c"].set()

            outcomes = [(one.status, one.bundle_id) for one in await asyncio.gather(*ask)]
            assert outcomes == [(SUPERSEDED, ids["a"])] * 2
            assert service.bundle_id == ids["a"]
            assert doors.opened == ["a", "b", "c"]

    run(scenario())


def test_what_was_rolled_back_can_be_asked_for_again(shelf: Path, ids: dict[str, str]) -> None:
    async def scenario() -> None:
        async with serving(shelf / "a") as service:
            await service.keeper.swap(shelf / "b")
            await service.keeper.roll_back()
            outcome = await service.keeper.swap(shelf / "b")

            assert (outcome.status, service.bundle_id) == (SWAPPED, ids["b"])

    run(scenario())


def test_a_keeper_that_is_closed_lets_nobody_wait(shelf: Path, ids: dict[str, str]) -> None:
    async def scenario() -> None:
        doors = Doors()
        async with serving(shelf / "a", doors) as service:
            doors.close("b")
            asked = asyncio.create_task(service.keeper.swap(shelf / "b"))
            await doors.until_reached("b")
            service.keeper.close()

            for late in (asked, service.keeper.swap(shelf / "c")):
                with pytest.raises(RefusedError, match="the service is stopping"):
                    await late
            doors.open["b"].set()
            assert service.bundle_id == ids["a"]

    run(scenario())


def test_only_two_bundles_are_kept_in_memory_and_the_rest_is_given_back(shelf: Path) -> None:
    async def scenario() -> None:
        async with serving(shelf / "a") as service:
            indices: list[weakref.ref[Retriever]] = []
            for name in ("b", "c", "a"):
                assert service.answers is not None
                indices.append(weakref.ref(service.answers.recommender.retriever))
                await service.keeper.swap(shelf / name)

            assert await asyncio.to_thread(service.trimmed.wait, 20)
            assert [index() is None for index in indices] == [True, True, False]

    run(scenario())


def test_a_bundle_that_was_refused_is_not_kept_in_memory(shelf: Path) -> None:
    indices: list[weakref.ref[Retriever]] = []

    def refuse(new: OpenBundle) -> None:
        indices.append(weakref.ref(new.recommender.retriever))
        is_corrupt(new)

    async def scenario() -> None:
        async with serving(shelf / "a") as service:
            service.hooks["warm_up"] = refuse
            with pytest.raises(RefusedError):
                await service.keeper.swap(shelf / "b")

            # by then the thread has let go of the error and of what it refers to
            assert await asyncio.to_thread(service.trimmed.wait, 20)
            assert [index() for index in indices] == [None]

    run(scenario())

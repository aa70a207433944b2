import logging
import shutil
import threading
from pathlib import Path

import pytest

from service.contract import bundle as bundles
from service.contract.errors import BundleCorruptError
from service.live.outcomes import RefusedError
from service.opening import OpenBundle
from tests.service.live.kept import (
    QUERY,
    SWAPPED,
    UNCHANGED,
    Doors,
    Hook,
    Service,
    run,
    serving,
)
from tests.tiny import reseal


def test_another_bundle_answers_and_the_one_before_is_kept(
    shelf: Path, ids: dict[str, str]
) -> None:
    async def scenario() -> None:
        async with serving(shelf / "a") as service:
            before = service.best_product()
            outcome = await service.keeper.swap(shelf / "b")

            assert (outcome.status, outcome.bundle_id) == (SWAPPED, ids["b"])
            assert outcome.seconds > 0
            assert (before, service.best_product()) == ("p-4", "b-p-4")
            assert service.keeper.previous is not None
            assert service.keeper.previous.folder == shelf / "a"
            assert service.ends == [SWAPPED, SWAPPED]
            assert set(service.threads) == {threading.main_thread().name}

    run(scenario())


def test_a_request_in_flight_keeps_the_bundle_it_began_with(shelf: Path) -> None:
    async def scenario() -> None:
        async with serving(shelf / "a") as service:
            held = service.answers
            assert held is not None
            for name in ("b", "c", "b", "c"):
                await service.keeper.swap(shelf / name)

            answer = held.recommender.recommend([QUERY])[0]
            assert answer.recommendations[0].product_id == "p-4"

    run(scenario())


def test_an_unchanged_encoder_is_the_same_object_and_a_changed_one_is_not(shelf: Path) -> None:
    async def scenario() -> None:
        async with serving(shelf / "a") as service:
            encoders = [service.answers and service.answers.recommender.encoder]
            for name in ("b", "c"):
                await service.keeper.swap(shelf / name)
                encoders.append(service.answers and service.answers.recommender.encoder)

            assert encoders[0] is encoders[1]
            assert encoders[1] is not encoders[2]

    run(scenario())


def test_the_bundle_that_answers_already_is_not_opened_again(
    shelf: Path, tmp_path: Path, ids: dict[str, str]
) -> None:
    async def scenario() -> None:
        doors = Doors()
        shutil.copytree(shelf / "a", tmp_path / "copy")
        async with serving(shelf / "a", doors) as service:
            held = service.answers
            outcomes = [await service.keeper.swap(p) for p in (shelf / "a", tmp_path / "copy")]

            assert [outcome.status for outcome in outcomes] == [UNCHANGED] * 2
            assert [outcome.bundle_id for outcome in outcomes] == [ids["a"]] * 2
            assert service.answers is held
            assert doors.opened == ["a"]
            assert service.keeper.previous is None

    run(scenario())


@pytest.mark.parametrize("name", [*bundles.REQUIRED, bundles.MANIFEST])
def test_a_flipped_byte_in_any_file_is_refused_and_the_old_bundle_answers(
    shelf: Path, tmp_path: Path, ids: dict[str, str], name: str
) -> None:
    path = Path(shutil.copytree(shelf / "b", tmp_path / "b")) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    async def scenario() -> None:
        async with serving(shelf / "a") as service:
            with pytest.raises(RefusedError, match=str(path)) as refused:
                await service.keeper.swap(tmp_path / "b")

            assert service.bundle_id == ids["a"]
            assert service.best_product() == "p-4"
            assert service.keeper.previous is None
            assert service.keeper.last_refusal is not None
            assert service.keeper.last_refusal.folder == tmp_path / "b"
            assert service.keeper.last_refusal.reason == str(refused.value)
            assert service.ends == [SWAPPED, "refused"]

    run(scenario())


def test_a_bundle_that_does_not_give_its_golden_answers_is_refused(
    shelf: Path, tmp_path: Path, ids: dict[str, str]
) -> None:
    shutil.copytree(shelf / "b", tmp_path / "b")
    shutil.copy(shelf / "a" / bundles.GOLDEN, tmp_path / "b" / bundles.GOLDEN)
    reseal(tmp_path / "b")

    async def scenario() -> None:
        async with serving(shelf / "a") as service:
            with pytest.raises(RefusedError, match="best product"):
                await service.keeper.swap(tmp_path / "b")

            assert service.bundle_id == ids["a"]

    run(scenario())


def test_a_bundle_that_was_mended_is_taken(
    shelf: Path, tmp_path: Path, ids: dict[str, str]
) -> None:
    shutil.copytree(shelf / "b", tmp_path / "b")
    (tmp_path / "b" / bundles.INDEX).unlink()

    async def scenario() -> None:
        async with serving(shelf / "a") as service:
            with pytest.raises(RefusedError):
                await service.keeper.swap(tmp_path / "b")
            shutil.copy(shelf / "b" / bundles.INDEX, tmp_path / "b")
            await service.keeper.swap(tmp_path / "b")

            assert service.bundle_id == ids["b"]

    run(scenario())


def missing_point(_manifest: object) -> str:
    return "a key needs the target precision 0.98; build the bundle with it"


def fails_to_warm_up(_new: object) -> None:
    message = "a bug"
    raise LookupError(message)


def is_corrupt(_new: object) -> None:
    message = "the encoder depends on its neighbours; build the bundle again"
    raise BundleCorruptError(message)


@pytest.mark.parametrize(
    ("hook", "refuse", "reason"),
    [
        ("may_serve", missing_point, "0.98; build"),
        ("warm_up", is_corrupt, "depends on its neighbours"),
        ("warm_up", fails_to_warm_up, r"cannot be opened \(LookupError: a bug\)"),
        ("on_open", fails_to_warm_up, "LookupError: a bug"),
    ],
)
def test_what_the_service_refuses_is_not_served(
    shelf: Path, ids: dict[str, str], hook: str, refuse: Hook, reason: str
) -> None:
    async def scenario() -> None:
        async with serving(shelf / "a") as service:
            service.hooks[hook] = refuse
            with pytest.raises(RefusedError, match=reason):
                await service.keeper.swap(shelf / "b")
            assert service.bundle_id == ids["a"]
            assert service.keeper.previous is None

            del service.hooks[hook]
            await service.keeper.swap(shelf / "b")
            assert service.bundle_id == ids["b"]

    run(scenario())


def test_a_bundle_is_warmed_up_off_the_event_loop_before_it_answers(shelf: Path) -> None:
    seen: list[tuple[str, str]] = []

    def warm_up(new: OpenBundle) -> None:
        answers = "nothing" if service.answers is None else service.answers.folder.name
        seen.append((new.folder.name, answers))
        assert threading.current_thread() is not threading.main_thread()

    service = Service(warm_up=warm_up)

    async def scenario() -> None:
        for name in ("a", "b"):
            await service.keeper.swap(shelf / name)
        service.keeper.close()

    run(scenario())

    assert seen == [("a", "nothing"), ("b", "a")]


def test_a_refusal_is_logged_with_its_reason_and_a_bug_with_its_traceback(
    shelf: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with serving(shelf / "a") as service:
            with pytest.raises(RefusedError):
                await service.keeper.swap(tmp_path / "nowhere")
        async with serving(shelf / "a", warm_up=lambda new: new.nothing):
            pass

    with pytest.raises(RefusedError, match="AttributeError"):
        run(scenario())

    refused, bug = [line for line in caplog.records if line.message == "bundle refused"]
    assert (refused.levelno, bool(refused.exc_info)) == (logging.WARNING, False)
    assert "no bundle in" in vars(refused)["reason"]
    assert bug.levelno == logging.ERROR
    assert bug.exc_info


def test_a_service_without_a_bundle_says_why_and_can_still_get_one(
    shelf: Path, tmp_path: Path, ids: dict[str, str]
) -> None:
    async def scenario() -> None:
        service = Service()
        with pytest.raises(RefusedError, match="no bundle in"):
            await service.keeper.swap(tmp_path)
        assert service.bundle_id is None

        await service.keeper.swap(shelf / "a")
        assert service.bundle_id == ids["a"]
        service.keeper.close()

    run(scenario())

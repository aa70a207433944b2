"""A service that is told to wait for its bundle: live, not ready, and ready once it is there."""

import logging
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.contract import bundle as bundles
from service.contract.pointer import publish
from tests.client import Client, starting


@contextmanager
def waiting(folder: Path, reason: str) -> Generator[Client]:
    """Yield a client of a service that has found out why it can't answer."""
    failures: list[Exception] = []
    with starting(
        folder, on_failure=failures.append, wait_for_bundle=True, watch_seconds=0.01
    ) as client:
        client.wait_until(lambda: reason in client.serving.why_no_bundle())
        yield client
    assert failures == []


def must_wait(client: Client, reason: str) -> None:
    ready, asked = client.get("/readyz"), client.recommend({"queries": ["sony"]})

    assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
    assert ready.json()["detail"].startswith("no bundle can be served yet: ")
    assert reason in ready.json()["detail"]
    assert (asked.status_code, asked.json()["code"]) == (503, "not_ready")
    assert str(client.serving.settings.bundle) not in asked.text
    assert [client.get(path).status_code for path in ("/livez", "/metrics")] == [200, 200]
    assert client.sample("surematch_ready") == 0


def must_become_ready(client: Client) -> None:
    client.wait_until(lambda: client.serving.generation is not None)

    assert client.get("/readyz").status_code == 200
    assert client.recommend({"queries": ["sony"]}).status_code == 200
    assert client.sample("surematch_ready") == 1


def test_a_bundle_that_appears_is_picked_up(
    tiny_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "volume" / "bundle"
    with waiting(folder, "no bundle in") as client:
        must_wait(client, str(folder))
        shutil.copytree(tiny_bundle, folder)
        must_become_ready(client)

    (line,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert line.message == "no bundle is named"
    assert str(folder) in vars(line)["reason"]


def test_an_empty_folder_of_bundles_is_picked_up_once_one_is_published(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    with waiting(tmp_path, "no bundle in") as client:
        must_wait(client, "CURRENT")
        shutil.copytree(tiny_bundle, tmp_path / "b-1")
        publish(tmp_path, "b-1")
        must_become_ready(client)


@pytest.mark.parametrize("name", bundles.REQUIRED)
def test_a_torn_volume_is_said_and_picked_up_once_the_missing_file_is_there(
    own_bundle: Path, tiny_bundle: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = (tiny_bundle / name).read_bytes()
    (own_bundle / name).write_bytes(whole[: len(whole) // 2])
    with waiting(own_bundle, name) as client:
        must_wait(client, name)
        (own_bundle / name).write_bytes(whole)
        must_become_ready(client)

    refused = [record for record in caplog.records if record.message == "bundle refused"]
    assert refused
    assert name in vars(refused[0])["reason"]


def test_a_volume_that_is_filled_file_by_file_is_picked_up_in_the_end(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    with waiting(folder, "no bundle in") as client:
        for path in (tiny_bundle / bundles.MANIFEST, *map(tiny_bundle.joinpath, bundles.REQUIRED)):
            assert client.serving.generation is None
            shutil.copy(path, folder)
            client.get("/livez")
        must_become_ready(client)


def test_a_bundle_that_is_there_at_the_start_is_served_as_ever(tiny_bundle: Path) -> None:
    with starting(tiny_bundle, wait_for_bundle=True) as client:
        must_become_ready(client)

        assert client.serving.why_no_bundle() == ""
        assert client.sample("surematch_bundle_swaps_total", result="swapped") == 1

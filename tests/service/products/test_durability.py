"""What a client was told is on the disk, and what the disk did not take is nowhere."""

import asyncio
import json
import os
import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.contract.errors import ChangesCorruptError, ChangesLockedError
from service.products import keeper
from service.products.log import LOG, ChangesLog
from tests.client import starting
from tests.poison import PoisonSession
from tests.service.products.conversation import Catalogue, changing, outcomes, path_of


@contextmanager
def files_of_at_most(size: int) -> Generator[None]:
    """Let no file of this process grow beyond ``size``, as on a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def state(catalogue: Catalogue) -> list[object]:
    found = [catalogue.result(text, 100) for text in ("nikon silver", "sony black", "canon body")]
    return [(one["reason"], one["recommendations"]) for one in found]


def test_a_service_that_starts_again_serves_every_change(tiny_bundle: Path, tmp_path: Path) -> None:
    with changing(tiny_bundle, tmp_path) as catalogue:
        catalogue.put("new", "Nikon Silver", brand="Nikon")
        catalogue.put("p-1", "Canon Silver")
        catalogue.lines(
            {"op": "delete", "product_id": "p-2"},
            {"op": "put", "product_id": "gone", "title": "Nikon Black"},
        )
        catalogue.delete("gone")
        before = state(catalogue)
    with changing(tiny_bundle, tmp_path) as catalogue:
        assert state(catalogue) == before
        assert catalogue.get("new").json()["fields"]["brand"] == "Nikon"
        assert catalogue.get("p-2").status_code == catalogue.get("gone").status_code == 404


def test_a_full_disk_changes_nothing_and_the_service_serves_on(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    with changing(tiny_bundle, tmp_path) as catalogue:
        catalogue.put("new", "Nikon Silver")
        before = state(catalogue)
        size = (tmp_path / LOG).stat().st_size
        with files_of_at_most(size + 10):
            put = catalogue.put("new", "Sony Black")
            delete = catalogue.delete("p-1")
            lines = catalogue.lines({"op": "put", "product_id": "other", "title": "Canon Body"})
            during = state(catalogue)
        after = catalogue.put("new", "Sony Black")

        assert (put.status_code, put.json()["code"]) == (507, "changes_not_kept")
        assert (delete.status_code, outcomes(lines)) == (507, ["not_kept"])
        assert lines[0]["error"]["code"] == "changes_not_kept"
        assert during == before
        assert after.json()["outcome"] == "replaced"
        count = catalogue.client.sample
        assert count("surematch_product_changes_total", operation="put", outcome="not_kept") == 2
    with changing(tiny_bundle, tmp_path) as catalogue:
        assert catalogue.get("new").json()["title"] == "Sony Black"
        assert catalogue.get("p-1").status_code == 200
        assert catalogue.get("other").status_code == 404


def test_a_service_does_not_start_with_changes_it_cannot_trust(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    with changing(tiny_bundle, tmp_path) as catalogue:
        catalogue.put("new", "Nikon Silver")
    altered = (tmp_path / LOG).read_bytes().replace(b"Silver", b"Golden")
    (tmp_path / LOG).write_bytes(altered)
    failures: list[Exception] = []
    with starting(tiny_bundle, changes_folder=tmp_path, on_failure=failures.append) as client:
        client.wait_until(lambda: bool(failures))

        assert isinstance(failures[0], ChangesCorruptError)
        assert client.get("/readyz").status_code == 503


def test_two_services_never_write_one_folder(tiny_bundle: Path, tmp_path: Path) -> None:
    failures: list[Exception] = []
    with (
        changing(tiny_bundle, tmp_path) as first,
        starting(tiny_bundle, changes_folder=tmp_path, on_failure=failures.append) as second,
    ):
        second.wait_until(lambda: bool(failures))

        assert isinstance(failures[0], ChangesLockedError)
        assert first.put("new", "Nikon").status_code == 200


def test_of_changes_of_one_product_at_the_same_time_the_last_kept_one_is_served(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    titles = [f"Nikon {word} {i}" for i, word in enumerate(["Silver", "Black", "Cable"] * 8)]
    with changing(tiny_bundle, tmp_path) as catalogue:
        ask = catalogue.client.asynchronous

        async def everything() -> list[httpx.Response]:
            puts = (ask.put(path_of("one"), json={"title": title}) for title in titles)
            return await asyncio.gather(*puts)

        responses = catalogue.client.run(everything())
        served = catalogue.get("one").json()["title"]
        found = catalogue.result(served)["recommendations"][0]

        assert {response.status_code for response in responses} == {200}
        kept = json.loads((tmp_path / LOG).read_text().splitlines()[-1][9:])
        assert (found["product_id"], found["title"]) == ("one", served)
        assert kept["title"] == served
    with changing(tiny_bundle, tmp_path) as catalogue:
        assert catalogue.get("one").json()["title"] == served


def test_changes_that_wait_together_share_one_wait_for_the_disk(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    fsync = os.fsync

    def counted(file: int) -> None:
        flushed.append(file)
        fsync(file)

    lines = [{"op": "put", "product_id": f"n-{i}", "title": f"Nikon {i}"} for i in range(100)]
    with changing(tiny_bundle, tmp_path) as catalogue:
        monkeypatch.setattr(os, "fsync", counted)
        assert outcomes(catalogue.lines(*lines)) == ["created"] * 100

        assert len(flushed) == 1


def test_a_product_that_the_encoder_fails_on_is_not_put(tiny_bundle: Path, tmp_path: Path) -> None:
    with changing(tiny_bundle, tmp_path) as catalogue:
        generation = catalogue.client.serving.generation
        assert generation is not None
        encoder = generation.bundle.recommender.encoder
        (text,) = encoder.tokenise(["nikon"])
        path = tiny_bundle / "encoder.onnx"
        poison = PoisonSession(path, token=text.ids[1], harm="gives NaN")
        vars(encoder)["_session"] = poison
        response = catalogue.put("bad", "Nikon Silver")
        lines = catalogue.lines(
            {"op": "put", "product_id": "bad", "title": "Nikon Black"},
            {"op": "put", "product_id": "good", "title": "Canon Black"},
        )

        assert (response.status_code, response.json()["code"]) == (500, "encoder_failed")
        assert outcomes(lines) == ["encoder_failed", "created"]
        assert catalogue.get("bad").status_code == 404
        assert catalogue.get("good").status_code == 200
        assert "bad" not in catalogue.found("canon black")


def test_a_long_log_is_made_short_while_changes_come(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "COMPACT_LINES", 10)
    with changing(tiny_bundle, tmp_path) as catalogue:
        for i in range(40):
            catalogue.put("new", f"Nikon {i}")
        catalogue.delete("p-1")
        before = state(catalogue)
        assert (tmp_path / LOG).read_bytes().count(b"\n") <= 1 + 10 + 2 * 2
        shown = catalogue.client.sample("surematch_changes_log_bytes")
        assert shown == (tmp_path / LOG).stat().st_size
    log = ChangesLog.open(tmp_path)
    log.close()
    assert {one.product_id for one in log.replayed} == {"new", "p-1"}
    with changing(tiny_bundle, tmp_path) as catalogue:
        assert state(catalogue) == before

"""A bundle on an accelerator, held to what it says on the CPU; on a CPU the same code runs."""

import asyncio
from pathlib import Path

import pytest

from service.onnx_session import Device
from service.opening import OpenBundle, open_bundle_to_serve
from tests.accelerator import DEVICES
from tests.client import asking
from tests.tiny import PRODUCTS, write_bundle

TEXTS = [title for _, title, _ in PRODUCTS] + ["black sony", "canon", "", "an unheard of thing"]


def said(opened: OpenBundle) -> tuple[list[tuple[str, list[str]]], list[float]]:
    """Return decision and products of each text, and all similarities."""
    answers = opened.recommender.recommend(TEXTS, k=3)
    found = [
        (str(answer.decision), [one.product_id for one in answer.recommendations])
        for answer in answers
    ]
    return found, [one.similarity for answer in answers for one in answer.recommendations]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("memory_mb", [None, 512])
def test_a_bundle_answers_on_a_device_as_on_the_cpu(
    tiny_bundle: Path, device: Device, memory_mb: int | None
) -> None:
    there = open_bundle_to_serve(tiny_bundle, device=device, device_memory_mb=memory_mb)

    found, similarities = said(there)
    expected, expected_similarities = said(open_bundle_to_serve(tiny_bundle))
    assert found == expected
    assert similarities == pytest.approx(expected_similarities, abs=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", [0, 1], ids=["the same encoder", "another encoder"])
def test_bundles_are_swapped_on_a_device_under_requests(
    own_bundle: Path, device: Device, seed: int
) -> None:
    renamed = [(f"new-{number}", title, kind) for number, title, kind in PRODUCTS]
    new = write_bundle(own_bundle.parent / "next", products=renamed, seed=seed)
    with asking(own_bundle, device=device, workers=1, cache_bytes=0) as client:
        old_id = client.get("/info").json()["bundle_id"]
        keeper = client.serving.keeper
        body = {"queries": ["canon eos r5 body", "sony silver"], "k": 1}

        async def scenario() -> list[tuple[str, str]]:
            swapping = asyncio.create_task(keeper.swap(new.folder))
            answers: list[tuple[str, str]] = []
            while True:
                is_over = swapping.done()
                asked = [client.asynchronous.post("/recommend", json=body) for _ in range(4)]
                for response in await asyncio.gather(*asked):
                    told = response.raise_for_status().json()
                    best = told["results"][0]["recommendations"][0]["product_id"]
                    answers.append((told["bundle_id"], best))
                if is_over:
                    await swapping
                    return answers

        answers = client.run(scenario())

    assert set(answers) <= {(old_id, "p-5"), (new.manifest.bundle_id, "new-p-5")}
    assert answers[-1] == (new.manifest.bundle_id, "new-p-5")

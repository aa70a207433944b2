"""The whole service on a device: under load, and over swaps of bundles."""

import asyncio
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from service.contract import bundle as bundles
from service.live.keeper import BundleKeeper, SwapHooks
from service.onnx_session import Device
from service.opening import OpenBundle, open_bundle_to_serve
from service.settings import variable
from tests.benchmarks.load_plan import Plan, in_bodies, run_load
from tests.benchmarks.traffic import texts_to_send
from tests.process import service_process
from tests.swapping import texts

LOADS = {"1 query, 1 caller": (1, 1), "1 query, 64 callers": (1, 64), "32 queries, 8": (32, 8)}
"""Queries of a body, and callers that ask again as soon as they are answered."""
TEXTS = 20_000
QUERIES = 32
"""Asked between two swaps."""

Texts = Sequence[str]


def served_figures(
    bundle: Path, folder: Path, *, device: Device, seconds: float, number_of_texts: int = TEXTS
) -> dict[str, Any]:
    """Return what the load generator measures of the service as a process of its own.

    Args:
        bundle: what is served.
        folder: where its log is written.
        device: where encoder and index are.
        seconds: how long each load lasts.
        number_of_texts: how many different ones are sent, over and over; no cache answers them.
    """
    settings = {variable("device"): str(device), variable("cache_bytes"): "0"}
    sent = texts_to_send(bundle / bundles.TOKENIZER, seed=0).take(number_of_texts)
    served = ("--bundle", str(bundle), "--port", "0")
    with service_process(folder / "service.log", *served, environment=settings) as process:
        address = process.ready_address().removeprefix("http://")
        return {
            name: run_load(
                Plan(address, "surematch", in_bodies(sent, size), callers, seconds, min(seconds, 2))
            )
            for name, (size, callers) in LOADS.items()
        }


def memory_over_swaps(
    folders: Sequence[Path], *, swaps: int, device: Device, used_mib: Callable[[], int]
) -> list[int]:
    """Return the memory in use with the first bundle open, then after each swap, in MiB.

    Args:
        folders: bundles, opened in turn.
        swaps: how many bundles come after the first.
        device: where encoder and index are.
        used_mib: reads the memory of the device.
    """
    return asyncio.run(_swap(folders, swaps, device, used_mib))


async def _swap(
    folders: Sequence[Path], swaps: int, device: Device, used_mib: Callable[[], int]
) -> list[int]:
    opened: list[OpenBundle] = []

    def answer_from(new: OpenBundle) -> None:
        opened[:] = [new]

    opener = functools.partial(open_bundle_to_serve, device=device)
    keeper = BundleKeeper(SwapHooks(on_open=answer_from), opener=opener)
    used: list[int] = []
    try:
        for turn in range(swaps + 1):
            await keeper.swap(folders[turn % len(folders)])
            await asyncio.to_thread(opened[0].recommender.recommend, texts(QUERIES, seed=turn))
            used.append(used_mib())
    finally:
        keeper.close()
    return used

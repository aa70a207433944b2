"""Memory of a process that does nothing but answer and swap bundles, measured from inside it."""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from service.live.keeper import BundleKeeper, SwapHooks
from service.live.memory import trim_memory
from service.opening import OpenBundle

ROOT = Path(__file__).parent.parent
SECONDS = 600.0
WORDS = ("sony", "canon", "bose", "camera", "lens", "black", "body", "headphones", "case", "kit")
QUERIES = 32
"""Asked between two swaps."""


@dataclass(frozen=True)
class Memory:
    """What a process needed.

    Attributes:
        resident: MiB after the first bundle was opened, then after each swap.
        peak: the most MiB that it ever had, in the middle of a swap.
        seconds: mean time of a swap from request to answer.
    """

    resident: list[float]
    peak: float
    seconds: float


def memory_over_swaps(
    folders: Sequence[Path],
    swaps: int,
    *options: str,
    environment: Mapping[str, str] | None = None,
) -> Memory:
    """Swap between ``folders`` in a process of its own; return what it needed.

    Args:
        folders: bundles, opened in turn.
        swaps: how many bundles come after the first.
        options: ``--no-trim``, ``--no-arena`` or ``--leak``, see `main`.
        environment: variables beside those of this process.
    """
    command = [sys.executable, "-m", "tests.swapping", f"--swaps={swaps}", *options]
    done = subprocess.run(  # noqa: S603  # our own module
        [*command, *map(str, folders)],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        check=True,
        stdout=subprocess.PIPE,
        timeout=SECONDS,
    )
    return Memory(**json.loads(done.stdout))


def texts(count: int, *, seed: int) -> list[str]:
    """Return made up queries of one to twelve words."""
    chance = np.random.default_rng(seed)
    return [" ".join(chance.choice(WORDS, size=chance.integers(1, 13))) for _ in range(count)]


def main() -> None:
    """Swap, and write the figures to standard output."""
    parser = argparse.ArgumentParser(prog="python -m tests.swapping", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--swaps", type=int, required=True)
    parser.add_argument("--no-trim", action="store_true", help="leave memory to the C library")
    parser.add_argument("--no-arena", action="store_true", help="ONNX Runtime without its arena")
    parser.add_argument("--leak", action="store_true", help="keep every bundle, to see one kept")
    arguments = parser.parse_args()
    if arguments.no_arena:
        _switch_arena_off()
    memory = asyncio.run(_swap(arguments))
    sys.stdout.write(json.dumps(vars(memory)) + "\n")


async def _swap(arguments: argparse.Namespace) -> Memory:
    loop, settled = asyncio.get_running_loop(), asyncio.Event()
    opened: list[OpenBundle] = []

    def answer_from(new: OpenBundle) -> None:
        opened[:] = [*opened, new] if arguments.leak else [new]

    def trim() -> None:
        if not arguments.no_trim:
            trim_memory()
        loop.call_soon_threadsafe(settled.set)

    keeper = BundleKeeper(SwapHooks(on_open=answer_from), trim=trim)
    resident: list[float] = []
    seconds: list[float] = []
    for turn in range(arguments.swaps + 1):
        settled.clear()
        outcome = await keeper.swap(arguments.folders[turn % len(arguments.folders)])
        await asyncio.to_thread(opened[-1].recommender.recommend, texts(QUERIES, seed=turn))
        await settled.wait()
        resident.append(_mebibytes("VmRSS"))
        seconds.append(outcome.seconds)
    keeper.close()
    return Memory(resident, _mebibytes("VmHWM"), sum(seconds) / len(seconds))


def _mebibytes(name: str) -> float:
    """Return a figure that Linux has on this process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def _switch_arena_off() -> None:
    make = ort.SessionOptions

    def without_arena() -> ort.SessionOptions:
        options = make()
        options.enable_cpu_mem_arena = False
        return options

    ort.SessionOptions = without_arena


if __name__ == "__main__":
    main()

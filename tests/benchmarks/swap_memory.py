"""Memory over swaps of bundles: index and operating point, then whole encoders.

Each way is a process of its own that answers 32 queries between two swaps. The encoder is the
packaged MiniLM, the products' embeddings are random. Ways beside the shipped one show what the
trim after a swap buys, and what ONNX Runtime's arena and glibc's settings change. Asserts nothing.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from export.onnx_encoder import write_onnx
from tests.benchmarks.machine import machine
from tests.sized_bundle import write_sized_bundle
from tests.swapping import memory_over_swaps
from training.config import load_config
from training.console import progress, say, table
from training.encoder import load_encoder

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Way:
    """How a process swaps: which of two bundles, and what is switched off."""

    swaps_of: str
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict[str, str])


# glibc raises this bound as it goes, and then keeps what it would have returned by itself
FIXED_BOUND = {"MALLOC_MMAP_THRESHOLD_": "131072"}
WAYS = {
    "index, as shipped": Way("index"),
    "index, no trim": Way("index", ("--no-trim",)),
    "encoder, as shipped": Way("encoder"),
    "encoder, no trim": Way("encoder", ("--no-trim",)),
    "encoder, no arena": Way("encoder", ("--no-arena",)),
    "encoder, fixed mmap bound": Way("encoder", (), FIXED_BOUND),
    "encoder, no trim, fixed mmap bound": Way("encoder", ("--no-trim",), FIXED_BOUND),
}


def main() -> None:
    """Measure every way, print a table and write the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.swap_memory", description=__doc__
    )
    parser.add_argument("--json", type=Path, default=Path("swap_memory.json"), metavar="FILE")
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--index-swaps", type=int, default=50)
    parser.add_argument("--encoder-swaps", type=int, default=20)
    arguments = parser.parse_args()
    swaps = {"index": arguments.index_swaps, "encoder": arguments.encoder_swaps}
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), products=arguments.products, swaps=swaps)
    arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    for line in report(figures):
        say(line)
    say(f"written to {arguments.json}; machine: {figures['machine']['processor']}")


def measure(folder: Path, *, products: int, swaps: dict[str, int]) -> dict[str, Any]:
    """Return MiB resident after each swap, the peak and the mean seconds of a swap, by way."""
    bundles = _make_bundles(folder, products)
    ways: dict[str, Any] = {}
    with progress(len(WAYS), "memory over swaps", unit="processes") as shown:
        for name, way in WAYS.items():
            found = memory_over_swaps(
                bundles[way.swaps_of],
                swaps[way.swaps_of],
                *way.options,
                environment=way.environment,
            )
            ways[name] = {
                "resident_mib": [round(mebibytes, 1) for mebibytes in found.resident],
                "peak_mib": round(found.peak, 1),
                "seconds_a_swap": round(found.seconds, 3),
            }
            shown.advance(1)
    sizes = {path.name: path.stat().st_size for path in bundles["index"][0].iterdir()}
    return {
        "machine": machine(),
        "products": products,
        "file_mib": {name: round(size / MEBIBYTE, 2) for name, size in sorted(sizes.items())},
        "ways": ways,
    }


def report(figures: dict[str, Any]) -> list[str]:
    """Return the lines of a table, all in MiB but the last column."""
    rows: list[list[str]] = []
    for name, way in figures["ways"].items():
        resident: Sequence[float] = way["resident_mib"]
        shown = (resident[0], resident[2], resident[-1], max(resident), way["peak_mib"])
        seconds = f"{way['seconds_a_swap']:.2f}"
        rows.append([name, str(len(resident) - 1), *(f"{number:.0f}" for number in shown), seconds])
    heading = ("way", "swaps", "at first", "after two", "after all", "most", "peak", "s a swap")
    return table(heading, rows)


def _make_bundles(folder: Path, products: int) -> dict[str, tuple[Path, Path]]:
    """Write two bundles with one encoder, and two that share everything but the encoder."""
    config = load_config().encoder
    loaded = load_encoder(config.base, max_tokens=config.max_tokens)
    tokenizer = folder / "tokenizer.json"
    loaded.tokenizer.save(str(tokenizer))
    encoders = (folder / "first.onnx", folder / "second.onnx")
    write_onnx(loaded.model, encoders[0])
    with torch.no_grad():
        for weights in loaded.model.parameters():
            weights.mul_(1.001)
    write_onnx(loaded.model, encoders[1])
    plan = {"first": (encoders[0], 0), "index": (encoders[0], 1), "encoder": (encoders[1], 0)}
    for name, (encoder, seed) in plan.items():
        write_sized_bundle(
            folder / name, encoder=encoder, tokenizer=tokenizer, products=products, seed=seed
        )
    return {name: (folder / "first", folder / name) for name in ("index", "encoder")}


if __name__ == "__main__":
    main()

"""What a catalogue that changes costs: a change, many, a merge, a start, and the loop meanwhile.

The encoder is the packaged MiniLM, the bundle's embeddings are random, and the service is in this
process, asked without a socket. Asserts nothing.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from export.onnx_encoder import write_onnx
from tests.benchmarks.machine import machine
from tests.client import Client, asking
from tests.sized_bundle import write_sized_bundle
from tests.swapping import texts
from training.config import load_config
from training.console import say
from training.encoder import load_encoder

MERGES = "surematch_product_merges_total"
LOOK_SECONDS = 0.005


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.living_catalogue", description=__doc__
    )
    parser.add_argument("--json", type=Path, default=Path("products.json"), metavar="FILE")
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--changes", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.products, arguments.changes)
    arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    say(json.dumps(figures, indent=2))


def measure(folder: Path, products: int, changes: int) -> dict[str, Any]:
    """Return the figures of one bundle."""
    bundle = _bundle(folder, products)
    figures: dict[str, Any] = {"machine": machine(), "products": products, "changes": changes}
    started = time.perf_counter()
    with asking(bundle) as client:
        figures["start_seconds_without_changes"] = _since(started)
        figures["search_ms_without_changes"] = _search_ms(client, seed=101)
    settings: dict[str, Any] = {
        "changes_folder": folder / "changes",
        "merge_products": changes + 99,
    }
    started = time.perf_counter()
    with asking(bundle, **settings) as client:
        figures["start_seconds_with_a_folder"] = _since(started)
        figures["put_and_found_ms"] = _puts(client, 100)
        started = time.perf_counter()
        _bulk(client, changes)
        figures["bulk_seconds"] = _since(started)
        figures["search_ms_with_changes"] = _search_ms(client, seed=102)
        figures["log_bytes"] = client.sample("surematch_changes_log_bytes")
    started = time.perf_counter()
    settings["merge_products"] = changes // 2
    with asking(bundle, **settings) as client:
        figures["start_seconds_with_changes"] = _since(started)
        figures["merge"] = _merge(client)
        figures["search_ms_after_the_merge"] = _search_ms(client, seed=103)
    return figures


def _puts(client: Client, number: int) -> dict[str, float]:
    """Put products one after another, each until a query finds it."""
    seconds: list[float] = []
    for row in range(number):
        started = time.perf_counter()
        title = f"found at once, number {row}"
        client.request("PUT", f"/products/put-{row}", json={"title": title})
        (result,) = client.recommend({"queries": [title], "k": 100}).json()["results"]
        seconds.append(time.perf_counter() - started)
        if f"put-{row}" not in [one["product_id"] for one in result["recommendations"]]:
            message = f"put-{row} was not found"
            raise RuntimeError(message)
    return _spread_ms(seconds)


def _bulk(client: Client, number: int) -> None:
    lines = [
        json.dumps({"op": "put", "product_id": f"bulk-{row}", "title": f"{text} {row}"})
        for row, text in enumerate(texts(number, seed=7))
    ]
    answer = client.request("POST", "/products", content="\n".join(lines).encode(), timeout=600)
    if answer.text.count('"created"') != number:
        message = f"not all were created: {answer.text[:200]}"
        raise RuntimeError(message)


def _search_ms(client: Client, *, seed: int) -> dict[str, float]:
    """Return the milliseconds of one query at a time, each a text not asked before."""
    seconds: list[float] = []
    for row, text in enumerate(texts(200, seed=seed)):
        started = time.perf_counter()
        client.recommend({"queries": [f"{text} {row}"]})
        seconds.append(time.perf_counter() - started)
    return _spread_ms(seconds)


def _merge(client: Client) -> dict[str, float]:
    """Wait for the merge that the start began; return how long the loop was held up meanwhile."""

    async def watch() -> float:
        longest = 0.0
        while client.sample(MERGES, result="merged") < 1:
            started = time.perf_counter()
            await asyncio.sleep(LOOK_SECONDS)
            longest = max(longest, time.perf_counter() - started - LOOK_SECONDS)
        return longest

    longest = client.run(watch())
    seconds = client.sample("surematch_product_merge_duration_seconds_sum")
    return {"seconds": round(seconds, 3), "longest_hold_of_the_loop_ms": round(longest * 1000, 1)}


def _bundle(folder: Path, products: int) -> Path:
    config = load_config().encoder
    loaded = load_encoder(config.base, max_tokens=config.max_tokens)
    encoder, tokenizer = folder / "encoder.onnx", folder / "tokenizer.json"
    loaded.tokenizer.save(str(tokenizer))
    write_onnx(loaded.model, encoder)
    out = folder / "bundle"
    write_sized_bundle(out, encoder=encoder, tokenizer=tokenizer, products=products, seed=0)
    return out


def _spread_ms(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": round(cuts[49] * 1000, 2), "p99": round(cuts[98] * 1000, 2)}


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 3)


if __name__ == "__main__":
    main()

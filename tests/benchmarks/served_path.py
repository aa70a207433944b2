"""How far the served path is from the limit: bare ONNX Runtime + FAISS in the same run.

Run by `make bench`. Every round times each way once, so a noisy machine disturbs all alike;
figures are medians over the rounds. Asserts nothing.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import httpx
import numpy as np
import onnxruntime as ort

from export.build import Promise, build_bundle
from export.operating_point import labelled_sets
from service.contract import bundle as bundles
from service.contract.tokens import TokenisedText, batches_by_length
from service.encoder import MAX_PADDED_TOKENS, available_cores
from service.recommender import Recommender, open_recommender
from tests.benchmarks.machine import machine
from tests.process import service_process
from training.checkpoint import Checkpoint, CheckpointRecord
from training.config import load_config
from training.console import progress, say, table
from training.data.folders import DataFolder, read_data_folder
from training.data.prepare import prepare
from training.encoder import load_encoder

ROUNDS = 30
BODIES = (1, 32)


def main() -> None:
    """Measure, print a table of ratios and write the figures."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder))
    arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    for line in report(figures):
        say(line)
    say(f"written to {arguments.json}; machine: {figures['machine']['processor']}")


def measure(folder: Path) -> dict[str, Any]:
    """Return seconds of each way to answer bodies of 1 and of 32 queries."""
    data, bundle = _make_bundle(folder)
    recommender, _ = open_recommender(bundle)
    texts = [query.text for query in data.split("test")]
    seconds: dict[str, dict[str, float]] = {}
    with (
        service_process(folder / "log", "--bundle", str(bundle), "--port", "0") as process,
        httpx.Client(base_url=process.ready_address(), timeout=60) as client,
    ):
        for size in BODIES:
            ways: dict[str, Callable[[list[str]], object]] = {
                "bare ONNX Runtime + FAISS": _bare(recommender, bundle),
                "recommender": lambda body: recommender.recommend(body, k=5),
                "POST /recommend": lambda body: _post(client, body),
            }
            seconds[str(size)] = _interleaved(ways, texts, size)
    return {"machine": machine(), "rounds": ROUNDS, "seconds": seconds}


def report(figures: dict[str, Any]) -> list[str]:
    """Return the lines of a table: milliseconds a body, and the ratio to the bare limit."""
    rows: list[list[str]] = []
    for size, ways in figures["seconds"].items():
        limit = next(iter(ways.values()))
        for way, seconds in ways.items():
            per_second = f"{int(size) / seconds:.0f}"
            rows.append([way, size, f"{1000 * seconds:.2f}", per_second, f"{limit / seconds:.2f}"])
    return table(("way", "queries a body", "ms a body", "queries/s", "of the limit"), rows)


def _make_bundle(folder: Path) -> tuple[DataFolder, Path]:
    """Return synthetic data and a bundle of the untrained packaged encoder."""
    prepare("synthetic", None, folder / "data")
    data = read_data_folder(folder / "data")
    config = load_config()
    record = CheckpointRecord(
        release="benchmark",
        base=config.encoder.base,
        steps=0,
        epochs=0,
        seed=0,
        config_sha256=config.digest(),
        data_sha256=data.digest(),
        commit=None,
    )
    encoder = load_encoder(config.encoder.base, max_tokens=config.encoder.max_tokens)
    untrained = Checkpoint(folder, config, record, encoder, frozenset(), frozenset(), None)
    sets = labelled_sets(data.split("calibration")[:64], data.split("validation")[:64], seed=0)
    out = folder / "bundle"
    build_bundle(untrained, data.products, sets, out, promise=Promise(0.95, 0.95))
    return data, out


def _bare(recommender: Recommender, bundle: Path) -> Callable[[list[str]], object]:
    """Return encode + search and nothing else: batches of like length, a core for each run."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = str(bundle / bundles.ENCODER)
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    index = faiss.read_index(str(bundle / bundles.INDEX))
    tokeniser, pool = recommender.encoder.tokeniser, ThreadPoolExecutor(available_cores())

    def run(texts: list[TokenisedText]) -> np.ndarray:
        batch = tokeniser.pad(texts)
        inputs = {"input_ids": batch.ids, "attention_mask": batch.mask}
        return np.asarray(session.run(None, inputs)[0])

    def answer(body: list[str]) -> object:
        tokens = tokeniser(body)
        batches = batches_by_length(tokens, max_padded_tokens=MAX_PADDED_TOKENS)
        parts = list(pool.map(run, [[tokens[row] for row in rows] for rows in batches]))
        return index.search(np.concatenate(parts), 5)

    return answer


def _post(client: httpx.Client, body: list[str]) -> object:
    return client.post("/recommend", json={"queries": body, "k": 5}).raise_for_status().content


def _interleaved(
    ways: dict[str, Callable[[list[str]], object]], texts: list[str], size: int
) -> dict[str, float]:
    """Return the median seconds of each way over rounds that ask all ways the same body."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with progress(ROUNDS, f"bodies of {size}", unit="rounds") as shown:
        for turn in range(-3, ROUNDS):  # the first three warm up
            start = (turn % (len(texts) // size)) * size
            for name, ask in ways.items():
                started = time.perf_counter()
                ask(texts[start : start + size])
                if turn >= 0:
                    taken[name].append(time.perf_counter() - started)
            shown.advance(int(turn >= 0))
    return {name: median(seconds) for name, seconds in taken.items()}


if __name__ == "__main__":
    main()

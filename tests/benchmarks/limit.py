"""The limit of a service on these cores: ONNX Runtime and FAISS, with nothing around them.

A process of its own, with the service's ONNX file, tokenizer and index: one session whose runs
take one core each, as many threads as cores, texts sorted by length and packed into batches. It
reads texts as JSON from standard input and writes figures to standard output.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import onnxruntime as ort

from service.contract import bundle as bundles
from service.contract.tokens import TextTokeniser, TokenisedText, batches_by_length
from tests.benchmarks.load_figures import quantiles_ms
from tests.benchmarks.load_plan import ROOT, in_bodies

BUDGETS = (64, 96, 128, 192, 256, 384, 512)
"""Padded tokens of a batch that are tried; the best one is the limit."""

TEXTS_A_PASS = 256
"""Texts sorted together; more of them would leave no less padding."""

WARM_TEXTS = 32
K = 5


def measure_limit(
    bundle: Path, texts: Sequence[str], *, seconds: float, budget: int | None = None
) -> dict[str, Any]:
    """Return the figures of a process of its own.

    Args:
        bundle: whose encoder and index are used.
        texts: what is asked, over and over.
        seconds: how long for each figure.
        budget: padded tokens of a batch; None tries `BUDGETS` and measures nothing else.

    Raises:
        CalledProcessError: if the process failed; it has said why on standard error.
    """
    command = [sys.executable, "-m", "tests.benchmarks.limit", str(bundle), str(seconds)]
    command += [] if budget is None else ["--budget", str(budget)]
    written = json.dumps(list(texts))
    done = subprocess.run(  # noqa: S603  # our own module
        command, input=written, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
    )
    return json.loads(done.stdout)


def embeddings_of(bundle: Path, texts: Sequence[str]) -> np.ndarray:
    """Return a vector a text, each from a run of its own in this process."""
    limit = Limit(bundle)
    return np.concatenate([limit.embed([text]) for text in texts])


def main() -> None:
    """Measure one budget, or all of them, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.limit", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--budget", type=int)
    arguments = parser.parse_args()
    limit = Limit(arguments.bundle)
    texts = json.loads(sys.stdin.read())
    if arguments.budget is None:
        figures = limit.by_budget(texts, arguments.seconds)
    else:
        figures = limit.figures(texts, arguments.budget, arguments.seconds)
    sys.stdout.write(json.dumps(figures) + "\n")


class Limit:
    """A session, an index and threads."""

    def __init__(self, bundle: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = str(bundle / bundles.ENCODER)
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._index = faiss.read_index(str(bundle / bundles.INDEX))
        self._tokeniser = TextTokeniser.from_file(bundle / bundles.TOKENIZER)
        self._pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))

    def by_budget(self, texts: Sequence[str], seconds: float) -> dict[str, Any]:
        """Return queries a second of each budget, the better of two turns each."""
        found = dict.fromkeys(BUDGETS, 0.0)
        for _ in range(2):
            for budget in BUDGETS:
                found[budget] = max(found[budget], self._throughput(texts, budget, seconds))
        return {"by_budget": found, "budget": max(found, key=lambda budget: found[budget])}

    def figures(self, texts: Sequence[str], budget: int, seconds: float) -> dict[str, Any]:
        """Return queries a second in batches, and the milliseconds of a lone query."""
        self.answer(texts[:WARM_TEXTS], budget)
        alone = _repeat(lambda text: self.answer([text], budget), texts, seconds)
        quantiles = quantiles_ms(alone)
        return {
            "queries_per_second": self._throughput(texts, budget, seconds),
            "lone_ms": None if quantiles is None else asdict(quantiles),
        }

    def answer(self, texts: Sequence[str], budget: int) -> tuple[np.ndarray, np.ndarray]:
        """Return similarities and rows of the best products of all texts, by length of the text."""
        tokens = self._tokeniser(texts)
        batches = batches_by_length(tokens, max_padded_tokens=budget)
        work = [[tokens[row] for row in rows] for rows in batches]
        run = map if len(work) == 1 else self._pool.map
        embeddings = np.concatenate(list(run(self._encode, work)))
        return self._index.search(embeddings, K)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return a vector a text from one run."""
        return self._encode(self._tokeniser(texts))

    def _throughput(self, texts: Sequence[str], budget: int, seconds: float) -> float:
        passes = in_bodies(texts, TEXTS_A_PASS)
        self.answer(passes[0][:WARM_TEXTS], budget)
        taken = _repeat(lambda body: self.answer(body, budget), passes, seconds)
        return round(len(taken) * TEXTS_A_PASS / sum(taken), 2)

    def _encode(self, texts: list[TokenisedText]) -> np.ndarray:
        batch = self._tokeniser.pad(texts)
        inputs = {"input_ids": batch.ids, "attention_mask": batch.mask}
        return np.asarray(self._session.run(["embedding"], inputs)[0])


def _repeat(ask: Callable[[Any], object], bodies: Sequence[Any], seconds: float) -> list[float]:
    """Return how long each body took, one after the other for so many seconds; at least one."""
    taken: list[float] = []
    while not taken or sum(taken) < seconds:
        started = time.perf_counter()
        ask(bodies[len(taken) % len(bodies)])
        taken.append(time.perf_counter() - started)
    return taken


if __name__ == "__main__":
    main()

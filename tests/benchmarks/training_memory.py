"""Peak memory of one step of each base with a million products and a million queries.

Run by `make bench-memory`. Tokens are drawn at random (8 to 24 a text); each case is a process of
its own, so that its peak is its own. The step is the costliest there is: it embeds every product
and, where the base reads them, every query, clusters or mines, then trains on one batch. A table
of token vectors stands in for the transformer, of MiniLM's embedding size (384), so that two
million texts take minutes: what a transformer needs beside depends on the batch, not on the
catalogue, and is measured with MiniLM. Mining looks for the negatives of 10,000 queries, since a
million take hours on two cores; its memory is that of a block of queries and of the index. Asserts
nothing.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.benchmarks.machine import machine
from training import dealing
from training.batches import NO_PRODUCT, TrainingSet
from training.config import Config, load_config
from training.console import say, table
from training.encoder import LoadedEncoder, SentenceEncoder, load_encoder
from training.mining import mine_hard_negatives
from training.objective.objective import Objective
from training.precision import choose_machine
from training.ranks import Ranks
from training.run import Run, optimiser_of
from training.step import take_step
from training.token_table import TokenTable

CASES: dict[str, tuple[str, ...]] = {
    "ngame": ("objective.base=ngame", "batches.clusters_of=queries", "batches.start_ratio=0"),
    "dexa": (
        "objective.base=dexa",
        "batches.clusters_of=queries",
        "batches.start_ratio=0",
        "objective.products.start_ratio=0",
        "objective.products.clusters=4096",
    ),
    "prime": (
        "objective.base=prime",
        "batches.clusters_of=queries",
        "batches.start_ratio=0",
        "objective.products.start_ratio=0",
        "objective.products.clusters=4096",
    ),
    "dexml, mined": (
        "batches.products=mined",
        "batches.neighbours=1",
        "batches.start_ratio=0",
    ),
    "dexml, all products": (
        "batches.products=all",
        "batches.neighbours=1",
        "run.tokens_with_gradients=8192",
    ),
}
MINILM = "MiniLM, a batch alone"
DIM, VOCABULARY, MINED_QUERIES = 384, 30_522, 10_000


def main() -> None:
    """Measure every case in a process of its own, print a table and write the figures."""
    parser = argparse.ArgumentParser(prog="make bench-memory", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("training_memory.json"), metavar="FILE")
    parser.add_argument("--rows", type=int, default=1_000_000, help="products, and queries")
    parser.add_argument("--cases", nargs="+", choices=[*CASES, MINILM], default=[*CASES, MINILM])
    parser.add_argument("--case", choices=[*CASES, MINILM], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(_measure(arguments.case, arguments.rows)))  # noqa: T201  # to the parent
        return
    found: list[dict[str, Any]] = []
    for case in arguments.cases:
        found.append(_in_own_process(case, arguments.rows))
        figures = {"machine": machine(), "rows": arguments.rows, "cases": found}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    columns = ("case", "data MB", "peak MB", "s to look again", "s a step")
    for line in table(columns, [[str(value) for value in case.values()] for case in found]):
        say(line)


def _in_own_process(case: str, rows: int) -> dict[str, Any]:
    say(f"{case}: {rows:,} products, {rows:,} queries")
    command = [sys.executable, "-m", "tests.benchmarks.training_memory"]
    command += ["--case", case, "--rows", str(rows)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return json.loads(done.stdout.splitlines()[-1])


def _measure(case: str, rows: int) -> dict[str, Any]:
    overrides = ("batches.neighbours=1",) if case == MINILM else CASES[case]
    config = load_config(overrides=[*overrides, "run.epochs=1", "encoder.max_tokens=32"])
    run = _run(config, 4096 if case == MINILM else rows, is_minilm=case == MINILM)
    data_mb = _peak_mb()
    dealing.mine_hard_negatives = _mine_some
    started = time.perf_counter()
    dealing.prepare_step(run)
    looked = time.perf_counter()
    take_step(run)
    return {
        "case": case,
        "data_mb": round(data_mb),
        "peak_mb": round(_peak_mb()),
        "look_again_seconds": round(looked - started, 1),
        "step_seconds": round(time.perf_counter() - looked, 1),
    }


def _mine_some(
    queries: np.ndarray, products: np.ndarray, positives: Sequence[Sequence[int]], **settings: Any
) -> np.ndarray:
    """Mine for the first queries only; the others get none."""
    some = slice(0, MINED_QUERIES)
    mined = mine_hard_negatives(queries[some], products, positives[some], exact_pairs=0, **settings)
    none = np.full((len(queries) - len(mined), mined.shape[1]), NO_PRODUCT, dtype=mined.dtype)
    return np.concatenate([mined, none])


def _run(config: Config, rows: int, *, is_minilm: bool) -> Run:
    """Return a run whose data never were files: tokens at random, one product a query."""
    generator = np.random.default_rng(0)
    data = TrainingSet(
        queries=_tokens(rows, generator),
        products=_tokens(rows, generator),
        positives=tuple((int(row),) for row in generator.integers(rows, size=rows)),
        ignored={},
        row_of_product=np.arange(rows),
    )
    chosen = choose_machine(config.run)
    encoder = _minilm() if is_minilm else _stand_in()
    objective = Objective(config.objective, encoder.dim, data.queries_of_products())
    return Run(
        config=config,
        encoder=encoder,
        tokeniser=encoder.tokeniser,
        data=data,
        machine=chosen,
        ranks=Ranks(),
        objective=objective,
        optimiser=optimiser_of(encoder, objective, config),
        scaler=torch.amp.GradScaler(chosen.device.type, enabled=False),
        order=np.arange(rows),
        positive_weights=None,
    )


def _tokens(rows: int, generator: np.random.Generator) -> TokenTable:
    lengths = generator.integers(8, 25, size=rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = generator.integers(1000, VOCABULARY, size=int(offsets[-1]), dtype=np.int32)
    no = np.zeros(rows, dtype=bool)
    return TokenTable(ids=ids, offsets=offsets, truncated=no, is_blank=no)


def _minilm() -> LoadedEncoder:
    return load_encoder("packaged:all-MiniLM-L6-v2", max_tokens=32)


class _TokenVectors(nn.Module):
    """Stands in for a transformer: each token's vector, whatever stands beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=DIM)
        self.vectors = nn.Embedding(VOCABULARY, DIM)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:  # noqa: ARG002
        return SimpleNamespace(last_hidden_state=self.vectors(input_ids))


def _stand_in() -> LoadedEncoder:
    minilm = _minilm()
    return LoadedEncoder(SentenceEncoder(_TokenVectors()), minilm.tokenizer, DIM)


def _peak_mb() -> float:
    """Return the most memory this process ever held, in MB (Linux counts it in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()

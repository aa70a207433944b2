"""What the auxiliary objectives cost: a step with ALC and TCM against the base's own step.

Run by `make bench-training`. Base and full objective take turns in one process, on batches of the
same texts, so that a noisy machine disturbs both alike; figures are medians. Beside it stands what
the objectives cost by themselves, on embeddings of the batch's size, as a share of the base's step:
a figure that a noisy machine moves less. Asserts nothing.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.nn.functional import normalize

from tests.benchmarks.machine import machine
from training.config import load_config
from training.console import progress, say, table
from training.data.folders import DataFolder, read_data_folder
from training.data.prepare import prepare
from training.objective.embedded_batch import EmbeddedBatch
from training.run import Run, set_up
from training.step import StepFigures, take_step

BATCHES = (256, 2048)
BASES = ("dexml", "ngame", "dexa", "prime")
ALONE = (
    "objective.query_label.weight=0",
    "objective.query_batch.weight=0",
    "objective.tcm.weight=0",
)
AUXILIARY = (
    "objective.query_label.weight=0.1",
    "objective.query_batch.weight=0.1",
    "objective.tcm.weight=1.0",
    "objective.tcm.positive_margin=0.8",
    "objective.tcm.negative_margin=0.5",
    "objective.tcm.start_ratio=0.0",
    "objective.heads.warmup_ratio=0.0",
)
PRODUCTS = 6000


def main() -> None:
    """Measure, print a table of ratios and write the figures."""
    parser = argparse.ArgumentParser(prog="make bench-training", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("training_step.json"), metavar="FILE")
    parser.add_argument("--rounds", type=int, default=5, help="steps of each kind; default: 5")
    parser.add_argument("--bases", nargs="+", choices=BASES, default=["dexml"])
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare("synthetic", None, Path(folder) / "data", products=PRODUCTS)
        data = read_data_folder(Path(folder) / "data")
        steps = [
            _measure(data, base, size, arguments.rounds)
            for base in arguments.bases
            for size in arguments.batches
        ]
    figures = {
        "machine": {**machine(), "torch": torch.__version__, "threads": torch.get_num_threads()},
        "rounds": arguments.rounds,
        "steps": steps,
    }
    arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    for line in table(
        (
            "base",
            "batch",
            "s a step",
            "with ALC + TCM",
            "ratio",
            "objectives alone",
            "loading share",
        ),
        [
            [
                step["base"],
                str(step["batch"]),
                f"{step['seconds']:.3f}",
                f"{step['seconds_with_auxiliary']:.3f}",
                f"{step['ratio']:.3f}",
                f"{1 + step['objective_share']:.3f}",
                f"{step['loading_share']:.4f}",
            ]
            for step in steps
        ],
    ):
        say(line)


def _measure(data: DataFolder, base: str, size: int, rounds: int) -> dict[str, Any]:
    """Return the medians of both kinds of step, which take turns on the same batches."""
    plain, full = _run(data, base, size, *ALONE), _run(data, base, size, *AUXILIARY)
    plain_steps: list[StepFigures] = []
    full_steps: list[StepFigures] = []
    with progress(rounds, f"{base}, batches of {size}", unit="rounds") as shown:
        for turn in range(-1, rounds):  # the first warms up
            one, other = take_step(plain), take_step(full)
            if turn >= 0:
                plain_steps.append(one)
                full_steps.append(other)
                shown.advance(1)
    own = [_objective_seconds(run, size) for run in (plain, full)]
    seconds, with_auxiliary = _seconds(plain_steps), _seconds(full_steps)
    return {
        "base": base,
        "batch": size,
        "seconds": seconds,
        "seconds_with_auxiliary": with_auxiliary,
        # pairs of neighbouring steps: slow spells of the machine fall on both of a pair
        "ratio": median(
            other.seconds / one.seconds for one, other in zip(plain_steps, full_steps, strict=True)
        ),
        "objective_share": (own[1] - own[0]) / seconds,
        "loading_share": median(step.loading_seconds / step.seconds for step in plain_steps),
        "terms": sorted(full_steps[-1].losses),
    }


def _objective_seconds(run: Run, size: int) -> float:
    """Return the median seconds of the objective, forth and back, on random embeddings."""
    taken: list[float] = []
    for turn in range(5):
        generator = torch.Generator().manual_seed(turn)
        leaves = normalize(torch.randn(2 * size, run.encoder.dim, generator=generator), dim=1)
        leaves.requires_grad_()
        batch = EmbeddedBatch(
            queries=leaves[:size],
            texts=leaves[size:],
            product_rows=torch.arange(size),
            is_positive=torch.eye(size, dtype=torch.bool),
            is_ignored=torch.zeros(size, size, dtype=torch.bool),
            sampled=torch.arange(size),
        )
        started = time.perf_counter()
        run.objective(batch, run_ratio=0.5).total().backward()
        taken.append(time.perf_counter() - started)
    return median(taken)


def _run(data: DataFolder, base: str, size: int, *overrides: str) -> Run:
    config = load_config(
        overrides=[
            f"objective.base={base}",
            f"run.batch_size={size}",
            "run.epochs=100",
            "objective.products.start_ratio=0.0",
            *overrides,
        ]
    )
    run = set_up(config, data)
    run.order = torch.randperm(len(run.order), generator=torch.Generator().manual_seed(0)).numpy()
    if run.objective.side is not None:
        _give_vectors(run)
    return run


def _give_vectors(run: Run) -> None:
    """Put the products' vectors in place without embedding anything: cost does not depend on it."""
    generator = torch.Generator().manual_seed(0)
    side, dim = run.objective.side, run.encoder.dim
    if side is None:
        return
    products = torch.randn(len(run.data.products), dim, generator=generator)
    queries = torch.randn(len(run.data.queries), dim, generator=generator)
    side.refresh(products.numpy(), queries.numpy(), run.data.positives, seed=0)


def _seconds(steps: list[StepFigures]) -> float:
    return median(step.seconds for step in steps)


if __name__ == "__main__":
    main()

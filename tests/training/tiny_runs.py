"""Short ways to take some steps of a run, and to stop one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.tiny_data import tiny_config
from training.config import Config
from training.data.folders import DataFolder
from training.data.products import Products
from training.dealing import prepare_step
from training.run import Run, set_up
from training.run_log import read_log
from training.step import StepFigures, take_step

BASES = ("dexml", "ngame", "dexa", "prime")
HEADS = ("objective.query_label.weight=0.1", "objective.query_batch.weight=0.1")
AUTO_MARGINS = (
    "objective.tcm.weight=0.5",
    "objective.tcm.positive_percentile=90",
    "objective.tcm.negative_percentile=60",
    "objective.tcm.without_gap=stop",
)
MINED = ("batches.products=mined", "batches.mined=2")


def everything(encoder: Path, base: str, *overrides: str) -> Config:
    """Return a recipe with neighbours, mined negatives, auto margins and both heads."""
    return tiny_config(encoder, f"objective.base={base}", *HEADS, *AUTO_MARGINS, *MINED, *overrides)


def advanced(config: Config, data: DataFolder, steps: int) -> tuple[Run, list[StepFigures]]:
    """Return a run after some steps, with the figures of each."""
    run = set_up(config, data)
    return run, advance(run, steps)


def advance(run: Run, steps: int) -> list[StepFigures]:
    """Take some steps; return the figures of each."""
    figures: list[StepFigures] = []
    for _ in range(steps):
        prepare_step(run)
        figures.append(take_step(run))
    return figures


def all_weights(run: Run) -> dict[str, torch.Tensor]:
    """Return copies of the weights of the encoder, and of what is trained beside it."""
    parts = {"encoder": run.encoder.model, "objective": run.objective}
    return {
        f"{part}.{name}": weight.detach().clone()
        for part, module in parts.items()
        for name, weight in module.state_dict().items()
    }


def stop_after(steps: int) -> Callable[[], bool]:
    """Return a stop request that comes true at the given call, one call a step."""
    calls = iter(range(1, 10**6))
    return lambda: next(calls) >= steps


def lines_without_clock(checkpoint: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log without the times that no two runs share."""
    clocks = ("seconds", "loading_seconds")
    lines = read_log(checkpoint / "log.jsonl")
    return [{key: value for key, value in line.items() if key not in clocks} for line in lines]


def lone_product(data: DataFolder) -> DataFolder:
    """Return the first training query with its product, and nothing else."""
    query = data.split("train")[0]
    [product] = [p for p in data.products.items if p.product_id in query.positives]
    return DataFolder(data.path, Products((product,), data.products.attribute_names), (query,))

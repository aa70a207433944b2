"""Judges one encoder of a study in a process of its own: ``python -m training.study.judging``.

Apart from the study itself so that the memory of one encoder never adds to another's, and so
that one that cannot be judged leaves the others.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from service.contract.errors import CheckpointError
from training.category_consistency import threshold_consistency
from training.checkpoint import LOG, Checkpoint, load_checkpoint
from training.command import add_map, run_command, write_json
from training.comparison import BASELINES, judge_baselines, judge_trained
from training.config import Config, load_config
from training.data.column_map import ColumnMap
from training.data.folders import DataFolder, read_data_folder
from training.data.matches import LabelledQuery
from training.data.splits import one_per_text
from training.evaluation import CatalogueTexts, JudgedQueries
from training.precision import choose_machine
from training.rules import rules_of
from training.run_log import read_log
from training.study.figures import promised_figures

JUDGED_SPLITS = ("validation", "calibration", "test")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.study.judging", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True, help="settings of a baseline")
    parser.add_argument("--target-precision", type=float, required=True)
    parser.add_argument("--confidence", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True, help="where the figures go")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--checkpoint", type=Path)
    what.add_argument("--baseline", choices=BASELINES)
    add_map(parser)
    parser.set_defaults(run=_run)
    return run_command(parser, argv)


def _run(arguments: argparse.Namespace) -> None:
    data = read_data_folder(arguments.data, ColumnMap.parse(arguments.map))
    facts: dict[str, Any] = {}
    if arguments.baseline:
        found = judged_baseline(arguments.baseline, load_config(arguments.config), data)
    else:
        checkpoint = load_checkpoint(arguments.checkpoint)
        found = judged_checkpoint(checkpoint, data)
        facts = training_facts(checkpoint)
    figures = promised_figures(
        found.splits,
        target_precision=arguments.target_precision,
        confidence=arguments.confidence,
    )
    figures["groups"]["all"]["opis"] = found.opis
    write_json(arguments.out, {**facts, **figures, "torch": torch.__version__, "gpu": _gpu()})


@dataclass(frozen=True)
class Judged:
    """Judged answers by split, one row a normalised text.

    Attributes:
        opis: OPIS across categories of the test queries; None where it is undefined or unknown.
    """

    splits: Mapping[str, JudgedQueries]
    opis: float | None = None


def judged_checkpoint(checkpoint: Checkpoint, data: DataFolder) -> Judged:
    """Return the judged answers of a trained encoder, on the device it was trained on."""
    checkpoint.encoder.model.to(choose_machine(checkpoint.config.run).device)
    queries, split_of = _held_out(data)
    catalogue = CatalogueTexts.of(data.products, checkpoint.config.data.product_text)
    rules = rules_of(data)
    judged, embedded = judge_trained(checkpoint, queries, catalogue, rules)
    is_test = split_of == "test"
    test_queries = [queries[row] for row in np.flatnonzero(is_test)]
    opis = threshold_consistency(embedded.where(is_test), test_queries, data.products, rules=rules)
    return Judged(_parted(judged, split_of), opis)


def judged_baseline(name: str, config: Config, data: DataFolder) -> Judged:
    """Return the judged answers of a baseline to the same queries."""
    queries, split_of = _held_out(data)
    [judged] = judge_baselines(
        [name],
        queries,
        CatalogueTexts.of(data.products, config.data.product_text),
        trained_products=data.trained_products(),
        base=config.encoder.base,
        max_tokens=config.encoder.max_tokens,
        rules=rules_of(data),
    ).values()
    return Judged(_parted(judged, split_of))


def _held_out(data: DataFolder) -> tuple[list[LabelledQuery], Shaped[np.ndarray, " query"]]:
    """Return the queries of all judged splits and the split of each: the catalogue is read once."""
    rows = {split: one_per_text(data.split(split), seed=0) for split in JUDGED_SPLITS}
    split_of = np.repeat(np.array(JUDGED_SPLITS), [len(rows[split]) for split in JUDGED_SPLITS])
    return [query for split in JUDGED_SPLITS for query in rows[split]], split_of


def _parted(
    judged: JudgedQueries, split_of: Shaped[np.ndarray, " query"]
) -> dict[str, JudgedQueries]:
    return {split: judged.where(split_of == split) for split in JUDGED_SPLITS}


def training_facts(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return where a checkpoint comes from and how long its steps took, by its own log."""
    seconds = [line["seconds"] for line in read_log(checkpoint.folder / LOG) if "seconds" in line]
    if not seconds:
        message = f"{checkpoint.folder / LOG} holds no step; train again"
        raise CheckpointError(message)
    return {
        "commit": checkpoint.record.commit,
        "steps": checkpoint.record.steps,
        "steps_seconds": sum(seconds),
        "seconds_per_step": median(seconds),
    }


def _gpu() -> str | None:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


if __name__ == "__main__":
    sys.exit(main())

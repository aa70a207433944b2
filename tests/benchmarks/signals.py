"""What a lexical index and a learnt score are worth: one bundle with and without them.

``python -m tests.benchmarks.signals --data DATA [--checkpoint CHECKPOINT] --name NAME --json FILE``
adds the figures of one set to FILE; without a checkpoint the untrained base is measured. All are of
the test split; the cost is that of ranking alone, beside the encoder.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.build import Promise, build_bundle
from export.evaluate import evaluate
from export.operating_point import labelled_sets
from export.signals import SignalOptions
from service.contract.text import normalise
from service.opening import open_recommender
from service.recommender import Asked, Recommender, StageClock
from service.signals import QueryText
from tests.benchmarks.bundle_under_test import untrained_checkpoint
from tests.benchmarks.figures_file import write_figures
from tests.benchmarks.machine import machine
from training.checkpoint import Checkpoint, load_checkpoint
from training.console import say, table
from training.data.folders import DataFolder, read_data_folder
from training.data.matches import LabelledQuery

SYSTEMS: Mapping[str, SignalOptions] = {
    "similarity": SignalOptions(),
    "+ lexical candidates": SignalOptions(lexical=True),
    "+ score": SignalOptions(score=True),
    "+ lexical candidates and score": SignalOptions(lexical=True, score=True),
}
TARGETS = (0.90, 0.95, 0.98)
ROUNDS = 5
SPLITS_USED = ("validation", "calibration", "test")


def main() -> None:
    """Measure one set and write its figures beside those of others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--system", choices=SYSTEMS, action="append", help="default: each")
    arguments = parser.parse_args()
    there = json.loads(arguments.json.read_text()) if arguments.json.exists() else {"sets": {}}
    data = read_data_folder(arguments.data)
    checkpoint = (
        load_checkpoint(arguments.checkpoint)
        if arguments.checkpoint
        else untrained_checkpoint(arguments.data, data)
    )
    rows = dict(there["sets"].get(arguments.name, {}).get("systems", {}))
    for name in arguments.system or SYSTEMS:
        rows[name] = measure(checkpoint, data, SYSTEMS[name])
    there["machine"] = machine()
    there["sets"][arguments.name] = {
        "products": len(data.products),
        **{
            f"{split} queries": len(data.split(split))
            for split in ("validation", "calibration", "test")
        },
        "systems": rows,
    }
    write_figures(there, arguments.json)
    for line in lines(rows):
        say(line)


def measure(checkpoint: Checkpoint, data: DataFolder, options: SignalOptions) -> dict[str, Any]:
    """Return the test figures of one bundle, and what a query costs to rank in it."""
    sets = labelled_sets(data.split("calibration"), data.split("validation"), seed=0)
    test = data.split("test")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bundle"
        promise = Promise(TARGETS[1], 0.95, (TARGETS[0], TARGETS[2]))
        build_bundle(checkpoint, data.products, sets, out, promise=promise, signals=options)
        recommender, manifest = open_recommender(out)
        figures = evaluate(recommender, manifest, test).figures()
        cost = ranking_cost(recommender, test)
    wanted = ("precision_at_1", "recall_at_10", "oracle_coverage", "operating_points")
    return {**{name: figures[name] for name in wanted}, "ranking_microseconds": cost}


def ranking_cost(recommender: Recommender, queries: Sequence[LabelledQuery]) -> float:
    """Return microseconds a query of search and decision, the best of some rounds."""
    encoder = recommender.encoder
    texts = [query.text for query in queries]
    tokens = encoder.tokenise(texts)
    vectors = encoder.encode(tokens)
    asked = [
        Asked(token, vector, 5, None, query=QueryText(normalise(text)))
        for token, vector, text in zip(tokens, vectors, texts, strict=True)
    ]
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.thread_time()
        for one in asked:
            recommender.answer([one], clock=StageClock())
        best = min(best, time.thread_time() - started)
    return round(1e6 * best / len(asked), 1)


def lines(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the lines of a Markdown table."""
    oracles = [f"oracle {100 * target:.0f}" for target in TARGETS]
    promised = [f"promised {100 * target:.0f} %" for target in TARGETS]
    head = ["system", "P@1", "R@10", *oracles, *promised, "ranking, µs"]
    return table(head, [_row(name, row) for name, row in rows.items()])


def _row(name: str, row: Mapping[str, Any]) -> list[str]:
    points = {point["target_precision"]: point for point in row["operating_points"]}
    return [
        name,
        f"{row['precision_at_1']:.3f}",
        f"{row['recall_at_10']:.3f}",
        *(f"{row['oracle_coverage'][f'{target:.2f}']:.3f}" for target in TARGETS),
        *(_promised(points[target]) for target in TARGETS),
        f"{row['ranking_microseconds']:.0f}",
    ]


def _promised(point: Mapping[str, Any]) -> str:
    if point["threshold"] is None:
        return "none"
    if point["accepted_precision"] is None:
        return "0 (-)"
    return f"{point['coverage']:.3f} ({point['accepted_precision']:.3f})"


if __name__ == "__main__":
    main()

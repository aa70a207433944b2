"""The service under load, against the limit of its cores: bare ONNX Runtime + FAISS.

Run by `make bench`; about nine minutes. The load generator is a process of its own on the same
cores as the service (`taskset` before the command gives all of them fewer); what it takes of them
stands beside each figure. Rounds take turns, limit and service, so that a noisy machine disturbs
both alike; ratios are of figures of one round. Asserts nothing. Where `SUREMATCH_DATA` is set,
real offers are sent.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from service.contract import bundle as bundles
from service.settings import Settings, variable
from tests.benchmarks.bundle_under_test import bundle_facts, make_bundle
from tests.benchmarks.figures_file import write_figures
from tests.benchmarks.goals import goals_of
from tests.benchmarks.limit import measure_limit
from tests.benchmarks.machine import machine
from tests.benchmarks.process_family import memory_mb
from tests.benchmarks.rounds import Bench
from tests.benchmarks.served_plot import plot
from tests.benchmarks.served_report import report
from tests.benchmarks.software import software
from tests.benchmarks.subject import Subject, allow_many_connections
from tests.benchmarks.traffic import OfferTexts, Texts, texts_to_send
from tests.process import service_process
from training.console import say

HEADROOM = 1.5
"""So many times the limit's texts are made ready for a run, since none is to be asked twice."""

LOAD_GENERATOR = "a process of its own on the same cores as the service"


def main() -> None:
    """Measure, print tables and goals, and write the figures."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a picture of the closed loops")
    parser.add_argument("--products", type=int, default=600, help="of the catalogue; default 600")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a run; default 3")
    parser.add_argument("--seed", type=int, default=0, help="of the texts; default 0")
    arguments = parser.parse_args()
    allow_many_connections()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments)
    write_figures(figures, arguments.json)
    for line in report(figures):
        say(line)
    if arguments.plot is not None:
        plot(figures, arguments.plot)
    say(f"written to {arguments.json}")


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return all figures of a service that is started for them."""
    bundle = make_bundle(folder, products=arguments.products)
    texts = texts_to_send(bundle / bundles.TOKENIZER, seed=arguments.seed)
    sweep = measure_limit(bundle, texts.take(1024), seconds=arguments.seconds / 3)
    most = HEADROOM * max(sweep["by_budget"].values())
    environment = _environment(texts)
    served = ("--bundle", str(bundle), "--port", "0")
    with service_process(folder / "log", *served, environment=environment) as process:
        address = process.ready_address().removeprefix("http://")
        subject = Subject("surematch", address, texts, most)
        bench = Bench(subject, bundle, sweep["budget"], arguments.seconds)
        memory = {"when ready": memory_mb(process.popen.pid)}
        closed = bench.closed_rounds(arguments.rounds)
        memory["after closed loops"] = memory_mb(process.popen.pid)
        opened = bench.open_rounds(arguments.rounds, closed)
        memory["after open loops"] = memory_mb(process.popen.pid)
        repeated = bench.repeated()
    return {
        "machine": machine(),
        "software": software(),
        "load_generator": LOAD_GENERATOR,
        "bundle": bundle_facts(bundle),
        "settings": environment,
        "texts": texts.what,
        "seconds": arguments.seconds,
        "limit": {"what": "bare ONNX Runtime + FAISS, no HTTP", **sweep},
        "closed_loops": closed,
        "open_loops": opened,
        "repeated_texts": repeated,
        "memory_mb": memory,
        "goals": [goal.record() for goal in goals_of(closed, opened)],
    }


def _environment(texts: Texts) -> dict[str, str]:
    """Return the settings of the service that are not its defaults.

    Real offers run out and come again, so a cache must not answer them.
    """
    if isinstance(texts, OfferTexts) and "cache_bytes" in Settings.model_fields:
        return {variable("cache_bytes"): "0"}
    return {}


if __name__ == "__main__":
    main()

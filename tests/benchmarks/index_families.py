"""Recall and latency of our indices beside hnswlib, usearch and FAISS's exact index, in one run.

Every contender gets the same vectors and queries, and answers them one by one on one thread; the
same settings of graphs are walked through for all. Recall is the found share of the ten exactly
nearest products. Asserts nothing. hnswlib and usearch are in the group `bench`; one that is not
installed is left out, and the figures say so.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float32
from matplotlib.figure import Figure

from export.index_choice import FAST
from export.index_families import build
from export.index_measures import RANKS, TIMED, Yardstick, median_milliseconds
from export.index_queries import draw_queries
from export.index_tuning import tune
from service.contract.retriever_record import Family
from service.retrievers.approximate import Effort, recalled
from service.retrievers.exact_vectors import ArrayVectors
from tests.benchmarks.figures_file import write_figures
from tests.benchmarks.index_peers import PEERS, Searcher, flat_searcher
from tests.benchmarks.machine import machine
from tests.clustered import clustered_units
from training.console import say, table

GRAPH_WIDTHS = (16, 32, 64, 128, 256, 512)
CLUSTERS_VISITED = (4, 8, 16, 32, 64, 128)
DIM = 384


@dataclass(frozen=True)
class Course:
    """What all contenders run over: vectors, queries, and the exact answers."""

    vectors: Float32[np.ndarray, "product dim"]
    yardstick: Yardstick

    def point(self, setting: str, search: Searcher) -> dict[str, Any]:
        """Return recall and median milliseconds of a way to search."""
        queries = self.yardstick.queries
        rows = np.concatenate([search(queries[row : row + 1]) for row in range(len(queries))])
        similarity = ArrayVectors(self.vectors).similarities(queries, rows.astype(np.int64))
        recall = float(recalled(similarity, self.yardstick.tenth).mean())
        times = [
            _seconds(search, queries[row : row + 1]) for row in range(min(TIMED, len(queries)))
        ]
        return {"setting": setting, "recall": recall, "ms": 1000 * median(times)}


def main() -> None:
    """Run all contenders, print a table, write figures and picture."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.index_families", description=__doc__
    )
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--vectors", type=Path, metavar="FILE", help=".npy; default: invented")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--recall", type=float, default=0.99, help="where contenders are compared")
    parser.add_argument("--families", nargs="*", type=Family, default=list(FAST))
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--json", type=Path, default=Path("bench_index.json"), metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="default: none")
    arguments = parser.parse_args()
    figures = measure(_course(arguments), arguments)
    write_figures(figures, arguments.json)
    if arguments.plot:
        plot(figures, arguments.plot)
    for line in report(figures):
        say(line)
    say(f"written to {arguments.json}")


def measure(course: Course, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the curve of every contender, and what each takes at the recall asked for."""
    builders = int(faiss.omp_get_max_threads())
    curves: dict[str, Any] = {
        "FAISS Flat": _curve(course, lambda: [("", flat_searcher(course.vectors))])
    }
    for family in arguments.families:
        say(f"building {family}")
        curves[f"ours: {family}"] = _curve(
            course, lambda family=family: _ours(course, family, arguments.recall)
        )
    for name in arguments.peers:
        say(f"building {name}")
        peer = PEERS[name](course.vectors, GRAPH_WIDTHS, builders)
        curves[name] = {"missing": True} if peer is None else _curve(course, lambda peer=peer: peer)
    reached = {name: _fastest(curve, arguments.recall) for name, curve in curves.items()}
    return {
        "products": len(course.vectors),
        "dim": course.vectors.shape[1],
        "queries": len(course.yardstick.queries),
        "recall": arguments.recall,
        "ms_at_recall": reached,
        "goals": _goals(reached),
        "curves": curves,
        "machine": machine(),
    }


def report(figures: dict[str, Any]) -> list[str]:
    """Return the lines of a table: what each contender takes at the recall asked for."""
    at = figures["ms_at_recall"]
    rows = [[name, "-" if ms is None else f"{ms:.3f}"] for name, ms in at.items()]
    head = ["index", f"ms at recall {figures['recall']}"]
    return [
        *table(head, rows),
        *(f"{name}: {value:.3g}" for name, value in figures["goals"].items()),
    ]


def plot(figures: dict[str, Any], path: Path) -> None:
    """Write a picture with a line for each contender."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for name, curve in figures["curves"].items():
        points = unbeaten(curve.get("points", ()))
        style = "o-" if name.startswith("ours") else "s:"
        recalls, times = [p["recall"] for p in points], [p["ms"] for p in points]
        axes.plot(recalls, times, style, markersize=4, label=name)
    axes.axvline(figures["recall"], color="black", linewidth=0.8)
    axes.set(xlabel="recall of the ten nearest", ylabel="milliseconds a query", yscale="log")
    axes.set_title(f"{figures['products']:,} products, one thread", fontsize="medium")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)


def unbeaten(points: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the points than which no faster one finds as much, fastest first."""
    kept: list[dict[str, Any]] = []
    for point in sorted(points, key=lambda point: (point["ms"], -point["recall"])):
        if not kept or point["recall"] > kept[-1]["recall"]:
            kept.append(point)
    return kept


def _course(arguments: argparse.Namespace) -> Course:
    if arguments.vectors is None:
        vectors = clustered_units(arguments.products, DIM)
    else:
        vectors = np.load(arguments.vectors, mmap_mode="r")[: arguments.products]
    drawn = draw_queries(vectors, np.empty((0, vectors.shape[1]), np.float32), seed=0)
    queries = drawn.queries[: arguments.queries]
    return Course(vectors, Yardstick.of(vectors, queries, stopwatch=median_milliseconds))


def _curve(course: Course, made: Callable[[], Any]) -> dict[str, Any]:
    """Return the points of a contender; building it is timed apart, searches run on one thread."""
    started, threads = time.perf_counter(), faiss.omp_get_max_threads()
    ways = list(made())
    seconds = time.perf_counter() - started
    faiss.omp_set_num_threads(1)
    try:
        points = [course.point(setting, search) for setting, search in ways]
    finally:
        faiss.omp_set_num_threads(threads)
    return {"build_seconds": seconds, "points": points}


def _ours(course: Course, family: Family, promised: float) -> Iterator[tuple[str, Searcher]]:
    """Yield ways to search with one of our families: a walk through efforts, then the tuned one."""
    built = build(family, course.vectors, seed=0)
    untuned = built.retriever(course.vectors)
    efforts = [Effort(width=width) for width in GRAPH_WIDTHS]
    if built.clusters:
        candidates = (0,) if family is Family.IVF else (64, 256)
        visited = [width for width in CLUSTERS_VISITED if width <= built.clusters]
        efforts = [Effort(width=w, candidates=n) for n in candidates for w in visited]
    elif family in (Family.FP16, Family.INT8):
        efforts = [Effort(candidates=n) for n in (32, 64, 128)]
    tuned = tune(built, course.vectors, course.yardstick, promised=promised)
    for effort in [*efforts, *([tuned.effort] if tuned else [])]:
        retriever = untuned.with_effort(effort)
        yield str(effort), lambda query, searched=retriever: searched.search(query, RANKS)[1]


def _fastest(curve: dict[str, Any], recall: float) -> float | None:
    times = [point["ms"] for point in curve.get("points", ()) if point["recall"] >= recall]
    return min(times, default=None)


def _goals(reached: dict[str, float | None]) -> dict[str, float]:
    """Return how our fastest index stands to the exact one and to the fastest peer."""
    ours = [ms for name, ms in reached.items() if name.startswith("ours") and ms is not None]
    peers = [reached[name] for name in PEERS if reached.get(name) is not None]
    flat, goals = reached["FAISS Flat"], {}
    if ours and flat is not None:
        goals["exact index / ours"] = flat / min(ours)
    if ours and peers:
        goals["ours / best of hnswlib and usearch"] = min(ours) / min(ms for ms in peers if ms)
    return goals


def _seconds(search: Searcher, query: Float32[np.ndarray, "1 dim"]) -> float:
    started = time.perf_counter()
    search(query)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

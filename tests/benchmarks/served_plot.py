"""A picture of closed loops: how long answers take as throughput grows."""

from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.figure import Figure


def plot(figures: dict[str, Any], path: Path) -> None:
    """Write a picture with a line for each size of body, a point for each number of callers."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    runs = [run for round_ in figures["closed_loops"] for run in round_["runs"]]
    for row, size in enumerate(sorted({run["queries_a_body"] for run in runs})):
        own = [run for run in runs if run["queries_a_body"] == size]
        callers = sorted({run["connections"] for run in own})
        points = [[run for run in own if run["connections"] == number] for number in callers]
        rates = [median(run["queries_per_second"] for run in point) for point in points]
        for quantile, style in (("p50", "o-"), ("p99", "o:")):
            times = [median(run["answered_ms"][quantile] for run in point) for point in points]
            axes.plot(rates, times, style, color=f"C{row}", label=f"bodies of {size}, {quantile}")
        for rate, number, point in zip(rates, callers, points, strict=True):
            height = median(run["answered_ms"]["p50"] for run in point)
            axes.annotate(str(number), (rate, height), textcoords="offset points", xytext=(4, -10))
    limit = median(round_["limit"]["queries_per_second"] for round_ in figures["closed_loops"])
    axes.axvline(limit, color="black", linewidth=0.8, label="bare ONNX Runtime + FAISS")
    axes.set(xlabel="queries a second", ylabel="milliseconds", yscale="log")
    axes.set_title("Closed loops; numbers are connections", fontsize="medium")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)

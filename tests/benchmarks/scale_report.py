"""The tables of `docs/scale.md`, from the figures of the scale benchmark."""

from collections.abc import Generator, Mapping
from typing import Any

from training.console import table

GOAL_MS = 3.0
"""Goal for encode and search of one query on one core at `GOAL_PRODUCTS`."""
GOAL_PRODUCTS = 100_000


def lines(figures: Mapping[str, Any]) -> Generator[str]:
    """Yield the lines of the tables, then one line a goal."""
    sizes = {int(size): measured for size, measured in figures["sizes"].items()}
    ordered = dict(sorted(sizes.items()))
    yield from table(
        ("products", "index", "build s", "build peak MB", "disk B", "memory B"),
        [_built(size, measured) for size, measured in ordered.items()],
    )
    yield ""
    yield from table(
        ("products", "flat ms", "search p50 ms", "p99 ms", "CPU ms", "recall@10", "+ encode p50"),
        [_searched(size, measured) for size, measured in ordered.items()],
    )
    yield ""
    yield from _goals(ordered)


def _built(size: int, measured: Mapping[str, Any]) -> list[str]:
    build = measured["building"]
    record = build["record"]
    return [
        f"{size:,}",
        record["family"],
        f"{build['cpu_seconds']:.1f}",
        f"{build['peak_mb']:.0f}",
        f"{1e6 * build['disk_mb'] / size:.0f}",
        f"{1e6 * measured['searching']['memory_mb'] / size:.0f}",
    ]


def _searched(size: int, measured: Mapping[str, Any]) -> list[str]:
    found, flat = measured["searching"], measured["building"]["record"]["flat_ms"]
    return [
        f"{size:,}",
        "" if flat is None else f"{flat:.2f}",
        f"{found['search']['p50_ms']:.2f}",
        f"{found['search']['p99_ms']:.2f}",
        f"{found['search']['cpu_p50_ms']:.2f}",
        f"{found['recall']:.4f}",
        f"{found['encode_and_search']['p50_ms']:.2f}",
    ]


def _goals(sizes: Mapping[int, Mapping[str, Any]]) -> Generator[str]:
    """Yield how build and search grew from the smallest size to each larger one."""
    (least, first), *larger = sizes.items()
    for size, measured in larger:
        times = size / least
        build = measured["building"]["cpu_seconds"] / first["building"]["cpu_seconds"]
        search = _search_ms(measured) / _search_ms(first)
        yield (
            f"{times:.0f} times the products: {search:.1f} times the search (goal: below), "
            f"{build:.1f} times the build of the index (goal: about as many)"
        )
    if GOAL_PRODUCTS in sizes:
        both = sizes[GOAL_PRODUCTS]["searching"]["encode_and_search"]
        yield (
            f"encode and search of one query on one core at {GOAL_PRODUCTS:,}: "
            f"{both['p50_ms']:.2f} ms by the clock, {both['cpu_p50_ms']:.2f} ms of the processor "
            f"(goal: below {GOAL_MS:g} ms)"
        )


def _search_ms(measured: Mapping[str, Any]) -> float:
    return measured["searching"]["search"]["cpu_p50_ms"]

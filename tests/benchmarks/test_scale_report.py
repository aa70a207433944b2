from typing import Any

from tests.benchmarks.scale_report import lines


def measured(*, search_ms: float, build_seconds: float, both_ms: float = 4.0) -> dict[str, Any]:
    return {
        "building": {
            "cpu_seconds": build_seconds,
            "peak_mb": 100.0,
            "disk_mb": 15.36,
            "record": {"family": "ivf", "flat_ms": None},
        },
        "searching": {
            "memory_mb": 15.0,
            "search": {"p50_ms": search_ms, "p99_ms": search_ms, "cpu_p50_ms": search_ms},
            "encode_and_search": {"p50_ms": both_ms, "p99_ms": both_ms, "cpu_p50_ms": both_ms},
            "recall": 0.99,
        },
    }


def test_growth_is_told_against_the_smallest_size() -> None:
    small, large = measured(search_ms=0.5, build_seconds=2), measured(search_ms=1, build_seconds=30)

    told = "\n".join(lines({"sizes": {"100000": large, "10000": small}}))

    assert "10 times the products: 2.0 times the search (goal: below), 15.0 times the build" in told
    assert "at 100,000: 4.00 ms by the clock" in told
    assert told.index("| 10,000 ") < told.index("| 100,000 ")
    assert " 1536 |" in told


def test_one_size_alone_has_no_growth() -> None:
    told = "\n".join(lines({"sizes": {"10000": measured(search_ms=1, build_seconds=1)}}))

    assert "times" not in told
    assert "of one query" not in told

from pathlib import Path

from prometheus_client import CollectorRegistry

from service.metrics import Metrics
from service.metrics.process import add_process_series
from tests.service.metrics.exposition import value


def test_the_process_is_measured_too() -> None:
    metrics = Metrics()

    for name in (
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_threads",
    ):
        assert value(metrics, name) > 0


def test_threads_are_counted_as_the_system_tells_them(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    add_process_series(registry, threads=tmp_path)
    for number in ("101", "102", "103"):
        (tmp_path / number).mkdir()

    assert registry.get_sample_value("process_threads") == 3


def test_a_system_that_does_not_tell_its_threads_leaves_them_out(tmp_path: Path) -> None:
    registry = CollectorRegistry()

    add_process_series(registry, threads=tmp_path / "missing")

    assert registry.get_sample_value("process_threads") is None

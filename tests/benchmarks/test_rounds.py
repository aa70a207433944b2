"""The whole benchmark, in small: a tiny bundle, a real service, a real load generator."""

from pathlib import Path

import pytest

from service.contract import bundle as bundles
from tests.benchmarks.goals import goals_of
from tests.benchmarks.rounds import CONNECTIONS, MOST_AT_ONCE, SHARES, Bench
from tests.benchmarks.served_plot import plot
from tests.benchmarks.served_report import report
from tests.benchmarks.subject import Subject, allow_many_connections
from tests.benchmarks.traffic import texts_to_send
from tests.process import service_process
from tests.tiny import write_bundle


@pytest.mark.slow
def test_every_request_of_a_benchmark_is_answered_or_refused(tmp_path: Path) -> None:
    allow_many_connections()
    bundle = write_bundle(tmp_path / "bundle").folder
    texts = texts_to_send(bundle / bundles.TOKENIZER, seed=0)
    with service_process(tmp_path / "log", "--bundle", str(bundle), "--port", "0") as process:
        address = process.ready_address().removeprefix("http://")
        bench = Bench(Subject("surematch", address, texts, 2000.0), bundle, 128, seconds=0.2)

        closed = bench.closed_rounds(1)
        opened = bench.open_rounds(1, closed)
        repeated = bench.repeated()

    runs = [run for round_ in (*closed, *opened) for run in round_["runs"]] + [repeated]
    assert {outcome for run in runs for outcome in run["outcomes"]} <= {"200", "429"}
    cells = sum(map(len, CONNECTIONS.values())) + len(MOST_AT_ONCE)
    assert sum(len(round_["runs"]) for round_ in closed) == cells
    assert len(opened[0]["runs"]) == sum(map(len, SHARES.values()))
    goals = goals_of(closed, opened)
    assert [goal.name for goal in goals if not goal.values] in ([], [goals[-1].name])
    figures = {
        "machine": {"processor": "a processor", "cores": 2},
        "load_generator": "here",
        "texts": texts.what,
        "bundle": {"products": 8, "precision": "fp32"},
        "limit": {"budget": 128},
        "closed_loops": closed,
        "open_loops": opened,
        "repeated_texts": repeated,
        "memory_mb": {"when ready": 1.0},
        "goals": [goal.record() for goal in goals],
    }
    assert "saturation" in "\n".join(report(figures))
    plot(figures, tmp_path / "closed.png")
    assert (tmp_path / "closed.png").stat().st_size > 1000

"""What is said of peers, on invented figures."""

from typing import Any

from tests.benchmarks.peer_report import peer_goals, report

MACHINE = {"processor": "a processor", "cores": 2}


def round_of(**rates: float) -> dict[str, Any]:
    systems = {name: {"memory_mb": 1.0, "runs": [run(rate)]} for name, rate in rates.items()}
    return {"limit": {"queries_per_second": 400.0}, "systems": systems}


def run(rate: float) -> dict[str, Any]:
    return {
        "queries_a_body": 1,
        "connections": 64,
        "queries_per_second": rate,
        "answered_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0, "longest": 4.0},
        "outcomes": {"200": 7},
    }


def test_ratios_are_of_one_round() -> None:
    rounds = [
        round_of(surematch=300.0, infinity=100.0, mosec=200.0),
        round_of(surematch=360.0, infinity=90.0, mosec=200.0),
    ]

    infinity, best = peer_goals(rounds, packed=set())

    assert infinity.values == (3.0, 4.0)
    assert best.values == (1.5, 1.8)
    assert "mosec" in best.name


def test_a_peer_with_our_packing_inside_is_not_the_best_peer() -> None:
    rounds = [round_of(surematch=300.0, infinity=100.0, mosec_packed=290.0)]

    _, best = peer_goals(rounds, packed={"mosec_packed"})

    assert "infinity" in best.name


def test_our_own_embeddings_are_no_peer() -> None:
    _, best = peer_goals([round_of(surematch=300.0, surematch_embed=310.0)], packed=set())

    assert best.is_met is None


def test_a_system_that_failed_is_named_with_its_reason() -> None:
    rounds = [round_of(surematch=300.0)]
    rounds[0]["systems"]["infinity"] = {"failure": "does not answer", "runs": []}
    goals = [goal.record() for goal in peer_goals(rounds, packed=set())]
    figures = {
        "machine": MACHINE,
        "load_generator": "here",
        "texts": "some",
        "systems": {},
        "rounds": rounds,
        "goals": goals,
    }

    lines = report(figures)

    assert "round 1: infinity failed: does not answer" in lines
    assert any(line.startswith("| surematch") and "300" in line for line in lines)

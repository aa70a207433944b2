"""How a check of a GPU is reported and judged."""

import json

import pytest

from tests.benchmarks.gpu_environment import Card, Surroundings
from tests.benchmarks.gpu_report import exit_code, lines_of, put_together, run_sections

FOUND = Surroundings(
    cards=(Card("NVIDIA L4", "580.65.06", 23034, 512),),
    packages={"onnxruntime-gpu": "1.31.1", "numpy": "2.4.6", "uvloop": "0.23.0"},
    providers=("CUDAExecutionProvider",),
    faiss_lacks=(),
    faiss_gpus=1,
)
GOOD = {"passed": 9, "failed": 0, "skipped": 1, "failures": list[str]()}


def test_a_section_that_fails_costs_no_other_its_figures() -> None:
    told: list[str] = []

    figures, failures = run_sections(
        {"first": lambda: {"a": 1 // 0}, "second": lambda: {"b": 2}}, tell=told.append
    )

    assert figures == {"second": {"b": 2}}
    assert failures == ["first: ZeroDivisionError: integer division or modulo by zero"]
    assert told == ["first …", "second …"]


def test_the_report_names_machine_cards_versions_figures_and_failures() -> None:
    report = put_together(FOUND, {"cores": 4}, {"tests": GOOD, "swaps": {"used_mib": [1, 2]}}, [])

    assert json.loads(json.dumps(report)) == {
        "machine": {"cores": 4},
        "cards": [{"name": "NVIDIA L4", "driver": "580.65.06", "memory_mib": 23034}],
        "versions": {"numpy": "2.4.6", "onnxruntime-gpu": "1.31.1"},
        "tests": GOOD,
        "swaps": {"used_mib": [1, 2]},
        "failures": [],
    }


@pytest.mark.parametrize(
    ("tests", "of_search", "of_sections", "failures"),
    [
        (GOOD, [], [], []),
        ({**GOOD, "failed": 1, "failures": ["t: off"]}, [], [], ["t: off"]),
        (GOOD, ["search: no memory"], [], ["search: no memory"]),
        (GOOD, [], ["served: TimeoutError: late"], ["served: TimeoutError: late"]),
        ({**GOOD, "passed": 0}, [], [], ["tests: none was run to its end"]),
    ],
)
def test_whatever_failed_is_in_the_report_and_in_the_exit_code(
    tests: dict[str, object], of_search: list[str], of_sections: list[str], failures: list[str]
) -> None:
    figures = {"tests": tests, "search_100": {"failures": of_search}}

    report = put_together(FOUND, {}, figures, of_sections)

    assert report["failures"] == failures
    assert exit_code(report) == bool(failures)
    assert [f"failed: {one}" in lines_of(report) for one in failures] == [True] * len(failures)
    assert ("nothing failed" in lines_of(report)) == (not failures)


def test_each_group_of_figures_is_one_line() -> None:
    served = {"1 query, 1 caller": {"per_second": 3, "ms": {"p50": 1.5}}}

    lines = lines_of(put_together(FOUND, {}, {"tests": GOOD, "served": served}, []))

    assert lines == [
        "NVIDIA L4, driver 580.65.06",
        "tests: passed 9, failed 0, skipped 1",
        "served, 1 query, 1 caller: per_second 3",
        "served, 1 query, 1 caller, ms: p50 1.5",
        "nothing failed",
    ]

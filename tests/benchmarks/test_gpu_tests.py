"""How the child's tests are counted."""

from pathlib import Path

import pytest

from tests.benchmarks.gpu_tests import counts_of, run_gpu_tests

CASES = {
    "passed": '<testcase name="a"/>',
    "failed": '<testcase name="b"><failure message="off by 1&#10;more">x</failure></testcase>',
    "broken": '<testcase name="c"><error message="">x</error></testcase>',
    "skipped": '<testcase name="d"><skipped message="no GPU"/></testcase>',
}


def junit(*kinds: str) -> str:
    return f"<testsuites><testsuite>{''.join(CASES[one] for one in kinds)}</testsuite></testsuites>"


@pytest.mark.parametrize(
    ("kinds", "numbers", "failures"),
    [
        ((), (0, 0, 0), []),
        (("passed", "passed", "skipped"), (2, 0, 1), []),
        (("passed", "failed"), (1, 1, 0), ["b: off by 1"]),
        (("broken",), (0, 1, 0), ["c: error"]),
    ],
)
def test_tests_are_counted_by_how_they_ended(
    kinds: tuple[str, ...], numbers: tuple[int, int, int], failures: list[str]
) -> None:
    counted = counts_of(junit(*kinds))

    assert (counted["passed"], counted["failed"], counted["skipped"]) == numbers
    assert counted["failures"] == failures


@pytest.mark.slow
def test_a_child_runs_the_marked_tests_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.gpu\ndef test_right(): pass\n\n"
        "@pytest.mark.gpu\ndef test_wrong(): assert 1 == 2\n\n"
        "def test_other(): pass\n"
    )

    counted = run_gpu_tests(tmp_path, tested=str(tmp_path))

    assert (counted["passed"], counted["failed"], counted["skipped"]) == (1, 1, 0)
    assert counted["failures"][0].startswith("test_wrong: ")


@pytest.mark.slow
def test_a_child_that_cannot_run_is_an_error_and_not_a_success(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"pytest ended with \d+ and no report"):
        run_gpu_tests(tmp_path, tested="--no-such-flag")

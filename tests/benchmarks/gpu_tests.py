"""The tests marked ``gpu``, run by a child, and how many of them passed."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from training.console import first_line

ROOT = Path(__file__).parent.parent.parent
TESTED = "tests/service"
"""Tests of training are left out: torch wants other libraries of CUDA than the service."""
_SECONDS = 1800.0


def run_gpu_tests(folder: Path, *, marker: str = "gpu", tested: str = TESTED) -> dict[str, Any]:
    """Run the tests that carry a marker, and return how they ended, as `counts_of`.

    Raises:
        RuntimeError: if pytest could not run them.
    """
    report = folder / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marker]
    done = subprocess.run(  # noqa: S603  # our own tests
        [*command, f"--junitxml={report}", tested],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if not report.is_file():
        message = f"pytest ended with {done.returncode} and no report: {done.stdout[-500:].strip()}"
        raise RuntimeError(message)
    return counts_of(report.read_text(encoding="utf-8"))


def counts_of(junit: str) -> dict[str, Any]:
    """Return the numbers of passed, failed and skipped tests, and which failed and why."""
    cases = list(Xml.fromstring(junit).iter("testcase"))  # noqa: S314  # written by our own child
    failed = {case: _why(case, "failure", "error") for case in cases}
    failures = [f"{case.get('name')}: {why}" for case, why in failed.items() if why]
    skipped = sum(bool(_why(case, "skipped")) for case in cases)
    return {
        "passed": len(cases) - len(failures) - skipped,
        "failed": len(failures),
        "skipped": skipped,
        "failures": failures,
    }


def _why(case: Xml.Element, *kinds: str) -> str:
    for kind in kinds:
        found = case.find(kind)
        if found is not None:
            return first_line(Exception(found.get("message", "") or kind))
    return ""

"""Commands as a user runs them: in a process of their own, with what they printed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run_module(*words: str | Path, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """Return the finished ``python -m …`` with its exit code and output."""
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(  # noqa: S603  # our own modules
        command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
    )


def must_run(*words: str | Path, seconds: float = 600) -> str:
    """Run ``python -m …``, check that it exits with 0, and return its standard output."""
    done = run_module(*words, seconds=seconds)
    assert done.returncode == 0, done.stderr
    return done.stdout

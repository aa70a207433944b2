"""`make setup` on machines that lack something: one line that names it, nothing left behind."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

FAKES = {
    "without venv": (
        'case "$*" in *ensurepip*) exit 1;; *) exec {python} "$@";; esac',
        "apt-get install python3-venv",
    ),
    "too old": (
        'case "$*" in *version_info*) exec {python} -c "raise SystemExit(\'error: is Python 3.10, '
        "needed is 3.11')\";; *) exit 9;; esac",
        "needed is 3.11",
    ),
    "missing": ("exit 127", ""),
}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("name", FAKES)
def test_a_machine_that_lacks_something_is_told_what(tmp_path: Path, name: str) -> None:
    script, said = FAKES[name]
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{script.format(python=sys.executable)}\n")
    fake.chmod(0o755)

    done = subprocess.run(  # noqa: S603  # our own Makefile
        ["make", "setup", f"PYTHON={fake}", f"VENV={tmp_path / 'venv'}"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_what_is_installed_is_not_installed_again(tmp_path: Path) -> None:
    """With the stamp newer than what it depends on, no command is run."""
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / ".installed").touch()

    done = subprocess.run(  # noqa: S603
        ["make", "setup", "PYTHON=false", f"VENV={venv}"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr

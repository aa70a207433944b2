"""Nothing of a merge is left in any file of the repository."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARKS = r"^(<{7}|>{7})( |$)"


def test_no_file_holds_a_conflict_of_a_merge() -> None:
    found = subprocess.run(  # noqa: S603  # fixed arguments
        ["git", "grep", "-n", "-I", "-E", MARKS],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.stderr == ""
    assert found.stdout == ""

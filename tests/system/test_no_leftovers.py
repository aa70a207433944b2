"""Nothing of a merge is left in any file of the repository."""

import re
from collections.abc import Generator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = (
    *(".ci", "client", "constraints", "deploy", "docs", "export"),
    *("service", "tests", "training"),
)
TEXT = {"", ".json", ".md", ".py", ".sh", ".toml", ".tpl", ".txt", ".yaml", ".yml", ".Dockerfile"}
MARK = re.compile(r"^(?:<{7}|>{7})(?: |$)", re.MULTILINE)


def texts() -> Generator[Path]:
    for path in (*ROOT.iterdir(), *(p for folder in FOLDERS for p in (ROOT / folder).rglob("*"))):
        if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts:
            yield path


def test_no_file_holds_a_conflict_of_a_merge() -> None:
    looked_at = {
        path.relative_to(ROOT): path.read_text(encoding="utf-8", errors="replace")
        for path in texts()
    }

    assert {Path("Makefile"), Path("service/app.py"), Path(".ci/run")} <= looked_at.keys()
    assert [str(name) for name, text in looked_at.items() if MARK.search(text)] == []

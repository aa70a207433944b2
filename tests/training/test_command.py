import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service.contract.errors import ConfigError, DataError, UsageError
from training.command import run_command, write_json


def parser(run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.set_defaults(run=run)
    return parser


def raising(error: BaseException) -> argparse.ArgumentParser:
    def run(_: argparse.Namespace) -> None:
        raise error

    return parser(run)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("a.csv, row 3: bad"), 1, "error: a.csv, row 3: bad\n"),
        (ConfigError("bad"), 1, "error: bad\n"),
        (UsageError("bad"), 2, "error: bad\n"),
        (
            OSError(28, "No space left on device", "/disk/state.pt"),
            1,
            "error: /disk/state.pt: No space left on device; see to that and run again\n",
        ),
        (OSError("no address"), 1, "error: no address; see to that and run again\n"),
        (
            KeyboardInterrupt(),
            1,
            "error: interrupted before the end; run the same command again\n",
        ),
    ],
)
def test_a_failure_is_one_line_and_a_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(raising(error), []) == code
    assert capsys.readouterr().err == said


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(KeyError):
        run_command(raising(KeyError("x")), [])


def test_a_reader_that_went_away_ends_a_command_quietly() -> None:
    """As in ``python -m training evaluate … | head -1``."""
    code = (
        "import argparse, sys; from training.command import run_command; "
        "from training.console import say; p = argparse.ArgumentParser(); "
        "p.set_defaults(run=lambda _: [say('x' * 1000) for _ in range(1000)]); "
        "sys.exit(run_command(p, []))"
    )
    process = subprocess.Popen(  # noqa: S603  # our own words
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()

    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), said) == (1, b"")


def test_what_is_no_number_becomes_null(tmp_path: Path) -> None:
    path = tmp_path / "no" / "figures.json"
    write_json(path, {"a": math.nan, "b": [1.0, math.inf], "c": {"d": (2,)}, "e": None})

    expected = {"a": None, "b": [1.0, None], "c": {"d": [2]}, "e": None}
    assert json.loads(path.read_text()) == expected
    write_json(None, {})


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write_json(tmp_path, {})

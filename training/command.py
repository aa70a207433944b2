"""What every command shares: errors become one line and an exit code, figures become a file."""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from service.contract.errors import SurematchError, UsageError
from training.console import complain, first_line
from training.data.column_map import USAGE
from training.data.table_writer import write_bytes


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> int:
    """Parse ``argv``, run the chosen command and return its exit code.

    Returns:
        0 done; 1 failed; 2 wrong usage that the parser could not see. Both failures leave one
        line on standard error that says what to do. What the parser sees leaves by it, with 2.
    """
    arguments = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], None] = arguments.run
    try:
        run(arguments)
    except SurematchError as error:
        complain(f"error: {error}")
        return 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        complain(f"error: {place}{error.strerror or first_line(error)}; see to that and run again")
        return 1
    except KeyboardInterrupt:
        complain("error: interrupted before the end; run the same command again")
        return 1
    return 0


def add_map(parser: argparse.ArgumentParser) -> None:
    """Add the option that renames and joins columns of the files a command reads."""
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="TARGET=SOURCE",
        help=f"rename or join columns: {USAGE}; for example title=brand,name; may be repeated",
    )


def add_dim(parser: argparse.ArgumentParser) -> None:
    """Add the option that cuts the embeddings of a checkpoint."""
    parser.add_argument(
        "--dim",
        type=int,
        metavar="ENTRIES",
        help="cut embeddings to these first entries, one of the checkpoint's matryoshka.dims; "
        "default: whole",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option that writes a command's figures to a file."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")


def write_json(path: Path | None, figures: Mapping[str, Any]) -> None:
    """Write figures as JSON, if a file was asked for; a number that is undefined becomes null.

    Raises:
        DataError: if the file cannot be written.
    """
    if path is None:
        return
    write_bytes(path, (json.dumps(_finite(figures), indent=2) + "\n").encode())


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(below) for below in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

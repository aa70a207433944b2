"""A new API key: ``python -m service.new_key --name shop --scopes recommend``."""

import argparse
import contextlib
import secrets
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from service.access.keys import KEY_PREFIX, ApiKey, Scope, digest_of, read_api_key
from service.access.keys_file import append_key, entry_of
from service.contract.errors import ConfigError

KEY_BYTES = 32
"""Of randomness in a key: so many that nobody can guess one, whatever hash is kept of it."""

FAILED = 1
WRONG_USAGE = 2


def main(arguments: Sequence[str]) -> int:
    """Make a key, and return the exit code: 0, 1 for a failure, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    secret = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    try:
        key = _key_of(options, secret)
    except ConfigError as error:
        return _complain(error, WRONG_USAGE)
    if options.append is None:
        sys.stdout.write(_for_pasting(secret, key))
        return 0
    try:
        append_key(options.append, key)
    except ConfigError as error:
        return _complain(error, FAILED)
    sys.stdout.write(f"{secret}\n")
    return 0


def _key_of(options: argparse.Namespace, secret: str) -> ApiKey:
    fields = {
        "name": options.name,
        "sha256": digest_of(secret),
        "scopes": [scope.strip() for scope in options.scopes.split(",")],
        "target_precision": options.target_precision,
        "queries_per_second": options.queries_per_second,
        "burst": options.burst,
        "expires": options.expires,
    }
    return read_api_key(fields, source="the new key")


def _for_pasting(secret: str, key: ApiKey) -> str:
    return (
        "The key, for its user; it is shown this once and kept nowhere:\n\n"
        f"{secret}\n\n"
        "Its entry, for the keys file of the service:\n\n"
        f"{entry_of(key)}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service.new_key",
        description="Make an API key, and the entry of the keys file that lets it in.",
        epilog="The service reads the file that SUREMATCH_KEYS_FILE names, and again when it "
        "changes. To replace a key, add another under a new name, hand it out, then remove the "
        "old entry.",
        allow_abbrev=False,
    )
    parser.add_argument("--name", required=True, help="who will use it, for logs and metrics")
    parser.add_argument(
        "--scopes", required=True, help=f"what it may do, by commas: {', '.join(Scope)}"
    )
    parser.add_argument(
        "--target-precision",
        type=float,
        help="another operating point of the bundle for this key, for example 0.98",
    )
    parser.add_argument(
        "--queries-per-second", type=float, help="rate limit in queries; without it there is none"
    )
    parser.add_argument(
        "--burst", type=int, help="queries that may come at once (default: one second's worth)"
    )
    parser.add_argument(
        "--expires",
        type=_moment,
        help="when it ends: 2027-01-31 (as that day begins in UTC) or 2027-01-31T18:00:00Z",
    )
    parser.add_argument(
        "--append",
        type=Path,
        metavar="FILE",
        help="add the entry to this keys file, made if it is not there, and print the key only",
    )
    return parser


def _moment(text: str) -> date | datetime:
    for read in (date.fromisoformat, datetime.fromisoformat):
        with contextlib.suppress(ValueError):
            return read(text)
    message = f"{text!r} is neither a date nor a date and time"
    raise argparse.ArgumentTypeError(message)


def _complain(error: ConfigError, code: int) -> int:
    sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

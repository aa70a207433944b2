"""Sends made-up offers until it is stopped: ``python -m deploy.demo.traffic --url URL``."""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from surematch_client import Client, SurematchClientError

from deploy.demo.offers import Shops, mix_at
from service.contract.errors import ConfigError
from training.command import run_command
from training.console import complain, say
from training.data.synthetic import PRODUCTS

REPORT_SECONDS = 60.0
"""How often it says what it got."""
LARGEST_BODY = 32
"""Queries; below so many a second, one body is sent a second."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_command(_parser(), arguments)


def send(
    client: Client,
    shops: Shops,
    stop: threading.Event,
    *,
    queries_per_second: float,
    period_seconds: float,
) -> tuple[int, int]:
    """Send body after body until ``stop``; a failed one is said and not sent again.

    Returns:
        How many queries were answered, and how many of these were auto-accepted.
    """
    started = reported = time.monotonic()
    answered = accepted = 0
    size = max(1, round(min(queries_per_second, LARGEST_BODY)))
    while not stop.wait(size / queries_per_second):
        now = time.monotonic()
        mix = mix_at(now - started, period_seconds=period_seconds)
        texts = list(shops.offers(size, mix))
        try:
            results = client.recommend(texts).results
        except SurematchClientError as error:
            complain(f"not answered: {error}")
            continue
        answered += len(results)
        accepted += sum(result.is_auto_accepted for result in results)
        if now - reported > REPORT_SECONDS:
            reported = now
            say(f"{answered} queries answered, {accepted} of them auto-accepted")
    return answered, accepted


def _run(arguments: argparse.Namespace) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    shops = Shops(arguments.products, seed=time.time_ns())
    with Client(arguments.url, api_key=_key(arguments.key_file)) as client:
        answered, accepted = send(
            client,
            shops,
            stop,
            queries_per_second=arguments.queries_per_second,
            period_seconds=arguments.period_seconds,
        )
    say(f"stopped: {answered} queries answered, {accepted} of them auto-accepted")


def _key(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); make it with deploy/secrets.sh"
        raise ConfigError(message) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.traffic", description=__doc__)
    parser.add_argument("--url", required=True, help="address of the service")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="file with the API key")
    parser.add_argument(
        "--products", type=int, default=PRODUCTS, help="size of the demo's catalogue"
    )
    parser.add_argument(
        "--queries-per-second", type=_positive, default=5.0, help="how many offers; default 5"
    )
    parser.add_argument(
        "--period-seconds",
        type=_positive,
        default=600.0,
        help="from the easiest mix to the hardest and back; default 600",
    )
    parser.set_defaults(run=_run)
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        message = f"{text} is not above 0"
        raise argparse.ArgumentTypeError(message)
    return value


if __name__ == "__main__":
    sys.exit(main())

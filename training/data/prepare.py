"""Makes a data folder from a known kind of source: the command ``prepare``."""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from service.contract.errors import ConfigError, UsageError
from training.console import say
from training.data.column_map import USAGE, ColumnMap
from training.data.folder_source import read_folder
from training.data.folder_writer import write_data_files
from training.data.folders import read_data_folder
from training.data.matches import SPLITS, LabelledQuery
from training.data.prepared import Prepared, count_queries
from training.data.pricerunner import read_pricerunner
from training.data.published_splits import PREPARED
from training.data.sources import Delivery, Order
from training.data.splits import UNSEEN_SHARE, deal
from training.data.synthetic import make_synthetic
from training.data.table_writer import write_bytes
from training.data.xmc import HELD_OUT_SHARE, read_xmc

SOURCES: Mapping[str, Callable[[Order], Delivery]] = {
    "folder": read_folder,
    "pricerunner": read_pricerunner,
    "synthetic": make_synthetic,
    "xmc": read_xmc,
}
"""How each kind of source is read."""

OPTIONS_OF: Mapping[str, Sequence[str]] = {
    "folder": ("source", "column_map"),
    "pricerunner": ("source", "categories"),
    "synthetic": ("products",),
    "xmc": ("source", "held_out_share"),
}
"""Which options mean something for a kind of source; another one that is given is an error."""


def prepare(  # noqa: PLR0913  # one argument for each option of the command
    kind: str,
    source: Path | None,
    out: Path,
    *,
    seed: int = 0,
    unseen_share: float = UNSEEN_SHARE,
    categories: Sequence[str] = (),
    products: int | None = None,
    column_map: ColumnMap | None = None,
    held_out_share: float | None = None,
) -> Prepared:
    """Write ``products.csv``, ``matches.csv`` and ``prepared.json`` to the new folder ``out``.

    A source with filter pairs gets a ``filter.csv`` as well. Queries that come with their splits
    keep them, all others are dealt.

    Args:
        kind: one of `SOURCES`.
        source: file or folder to read; None for a kind that makes its data up.
        out: where the folder appears, whole or not at all.
        seed: of everything that is drawn.
        unseen_share: share of the products that no query in train asks for.
        categories: the categories to keep; all where empty.
        products: how many products to make up.
        column_map: renames and joins columns of the source.
        held_out_share: share of the published training texts to set aside, half validation,
            half calibration; None for the default.

    Raises:
        UsageError: if an option is unknown, missing, or means nothing for this kind.
        ConfigError: if ``out`` holds something.
        DataError: if the source is missing or wrong; it names file, row and column.
    """
    column_map = column_map or ColumnMap()
    order = Order(source, seed, tuple(categories), products, column_map, held_out_share)
    _check_options(kind, order)
    with _new_folder(out) as folder:
        delivery = SOURCES[kind](order)
        queries, dealt = _in_splits(delivery, seed=seed, unseen_share=unseen_share)
        there = {query.query_id for query in queries}
        filtered = {q: pairs for q, pairs in delivery.filtered.items() if q in there}
        write_data_files(folder, delivery.products, queries, filtered)
        data = read_data_folder(folder, published_splits=delivery.published_splits)
        prepared = Prepared(
            kind=kind,
            seed=seed,
            release=_release(),
            products=len(data.products),
            splits={name: count_queries(data, name) for name in SPLITS},
            dealt=dealt,
            queries_left_out=len(delivery.queries) - len(queries),
            source_counts=delivery.counts,
            digest=data.digest(),
            published_splits=delivery.published_splits,
        )
        write_bytes(folder / PREPARED, prepared.to_bytes())
        folder.replace(out)  # an empty folder at `out` is replaced as well
    return prepared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--from", dest="kind", choices=sorted(SOURCES), required=True)
    parser.add_argument("--source", type=Path, metavar="PATH", help="file or folder to read")
    parser.add_argument("--out", type=Path, required=True, metavar="DATA", help="a new folder")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--unseen-share",
        type=float,
        default=UNSEEN_SHARE,
        metavar="SHARE",
        help=f"share of the products that no query in train asks for; default: {UNSEEN_SHARE}",
    )
    parser.add_argument(
        "--categories", default="", metavar='"A,B"', help="categories of pricerunner to keep"
    )
    parser.add_argument("--products", type=int, metavar="N", help="products of synthetic")
    parser.add_argument(
        "--held-out-share",
        type=float,
        metavar="SHARE",
        help="share of the training texts of xmc set aside, half validation, half calibration; "
        f"default: {HELD_OUT_SHARE}; 0 trains on all of them",
    )
    parser.add_argument(
        "--map", action="append", default=[], metavar="TARGET=SOURCE", help=f"of folder: {USAGE}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")


def run(arguments: argparse.Namespace) -> None:
    """Run the command and say what was written."""
    categories = [name.strip() for name in arguments.categories.split(",") if name.strip()]
    prepared = prepare(
        arguments.kind,
        arguments.source,
        arguments.out,
        seed=arguments.seed,
        unseen_share=arguments.unseen_share,
        categories=categories,
        products=arguments.products,
        column_map=ColumnMap.parse(arguments.map),
        held_out_share=arguments.held_out_share,
    )
    for line in prepared.lines():
        say(line)
    say(f"written to {arguments.out}")
    if arguments.json is not None:
        write_bytes(arguments.json, prepared.to_bytes())


def _check_options(kind: str, order: Order) -> None:
    if kind not in SOURCES:
        message = f"there is no kind of source {kind!r}, only {', '.join(sorted(SOURCES))}"
        raise UsageError(message)
    given = {
        "source": order.source is not None,
        "categories": bool(order.categories),
        "products": order.products is not None,
        "column_map": bool(order.column_map.rules),
        "held_out_share": order.held_out_share is not None,
    }
    for option, is_given in given.items():
        if is_given and option not in OPTIONS_OF[kind]:
            flag = "--map" if option == "column_map" else f"--{option.replace('_', '-')}"
            message = f"{flag} means nothing for --from {kind}; leave it out"
            raise UsageError(message)


@contextmanager
def _new_folder(out: Path) -> Generator[Path]:
    """Yield a temporary folder beside ``out``; it is removed unless the block renamed it."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        message = f"{out} already holds something; name another folder with --out"
        raise ConfigError(message)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        folder.chmod(0o755)  # mkdtemp made it private
    except OSError as error:
        message = f"{out} cannot be written ({error.strerror}); name another folder with --out"
        raise ConfigError(message) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_splits(
    delivery: Delivery, *, seed: int, unseen_share: float
) -> tuple[list[LabelledQuery], dict[str, float] | None]:
    if any(query.split for query in delivery.queries):
        return delivery.queries, None
    queries = deal(delivery.queries, seed=seed, unseen_share=unseen_share, shares=delivery.shares)
    return queries, {"unseen_share": unseen_share, **asdict(delivery.shares)}


def _release() -> str:
    try:
        return version("surematch")
    except PackageNotFoundError:
        return "not installed"

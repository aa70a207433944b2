"""The demo's bundle, where none is yet: ``python -m deploy.demo.first_bundle --bundles FOLDER``."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from export.demo import RECIPE
from export.options import STANDARD_TARGETS
from service.contract.bundle import MANIFEST, open_bundle
from service.contract.errors import BundleError
from service.contract.pointer import CURRENT, publish, resolve_bundle
from training.command import run_command
from training.config import load_config
from training.console import say
from training.data.folders import read_data_folder
from training.data.prepare import prepare
from training.data.synthetic import PRODUCTS

NAME = "demo"
"""Of the bundle in its folder."""
WORK = ".first-bundle"
"""Folder for data and checkpoint while they are needed; hidden, so nobody can serve it."""
NEEDED_BYTES = 1024**3
"""Room for a checkpoint with its optimiser, saved beside the one before it, and the bundle."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_command(_parser(), arguments)


def fill(bundles: Path, *, products: int, epochs: int) -> None:
    """Train, export and publish the demo's bundle in ``bundles``, unless one is published there.

    Args:
        bundles: an existing folder; what an interrupted call left in it is removed.
        products: size of the catalogue that is made up.
        epochs: passes over the training queries.

    Raises:
        BundleError: if there is no such folder, it has too little room, or the bundle that is
            published there does not open.
        SurematchError: if a step fails.
    """
    if (bundles / CURRENT).exists():
        bundle = open_bundle(resolve_bundle(bundles))
        say(f"{bundle.folder} is there and whole; nothing to do")
        return
    _must_have_room(bundles)
    if not (bundles / NAME / MANIFEST).exists():
        _build(bundles, products=products, epochs=epochs)
    publish(bundles, NAME)
    say(f"published {bundles / NAME}")


def _must_have_room(bundles: Path) -> None:
    try:
        free = shutil.disk_usage(bundles).free
    except OSError as error:
        message = f"{bundles} cannot be used ({error.strerror}); make the folder or mount a volume"
        raise BundleError(message) from error
    if free < NEEDED_BYTES:
        message = (
            f"{bundles} has {free >> 20} MiB free, the first bundle needs {NEEDED_BYTES >> 20} MiB "
            "while it is made; free some, or name a larger volume"
        )
        raise BundleError(message)


def _build(bundles: Path, *, products: int, epochs: int) -> None:
    # torch takes seconds to import, and there is mostly nothing to do
    from export.build import Promise, build_bundle  # noqa: PLC0415
    from export.operating_point import labelled_sets  # noqa: PLC0415
    from training.checkpoint import load_checkpoint  # noqa: PLC0415
    from training.loop import fit  # noqa: PLC0415

    work = bundles / WORK
    shutil.rmtree(work, ignore_errors=True)
    try:
        prepare("synthetic", None, work / "data", products=products)
        data = read_data_folder(work / "data")
        fit(load_config(RECIPE, [f"run.epochs={epochs}"]), data, work / "checkpoint")
        checkpoint = load_checkpoint(work / "checkpoint")
        sets = labelled_sets(data.split("calibration"), data.split("validation") or None, seed=0)
        promise = Promise(0.95, 0.95, further_targets=STANDARD_TARGETS)
        build_bundle(checkpoint, data.products, sets, bundles / NAME, promise=promise)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.first_bundle", description=__doc__)
    parser.add_argument(
        "--bundles", type=Path, required=True, metavar="FOLDER", help="folder of bundles to fill"
    )
    parser.add_argument(
        "--products", type=int, default=PRODUCTS, help=f"size of the catalogue; default {PRODUCTS}"
    )
    parser.add_argument("--epochs", type=int, default=3, help="of the training; default 3")
    parser.set_defaults(run=_fill)
    return parser


def _fill(arguments: argparse.Namespace) -> None:
    fill(arguments.bundles, products=arguments.products, epochs=arguments.epochs)


if __name__ == "__main__":
    sys.exit(main())

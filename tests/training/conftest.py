"""Fixtures of the training tests: one thread, tiny data and a tiny encoder, made once."""

from pathlib import Path

import faiss
import pytest
import torch

from tests.tiny_data import read_data
from tests.tiny_encoder import write_tiny_encoder
from training import loop
from training.data.folders import DataFolder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny models gain nothing from more threads, and lose to contention."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    return read_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory, data: DataFolder) -> Path:
    texts = data.products.texts(("title",)) + [query.text for query in data.queries]
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"), texts)


@pytest.fixture
def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the drawing, which takes longer than the training of a tiny run."""
    monkeypatch.setattr(loop, "draw_curves", lambda *_: None)

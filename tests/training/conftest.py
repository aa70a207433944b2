"""One thread for torch and FAISS: tiny models gain nothing from more, and lose to contention."""

import faiss
import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)

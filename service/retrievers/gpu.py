"""Indices on an accelerator: moved or made there with bounded memory, asked by one thread.

FAISS allows one thread at a time for what shares its GPU resources, and looks for what it needs
only when it is used, so that this module can be imported where FAISS knows no GPU.
"""

import math
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any, TypeVar

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.contract.errors import ConfigError
from service.embedded import OnDevice
from service.retrievers.exact import must_fit, ranked
from service.retrievers.exact_vectors import ExactVectors, exact_search, missing_as_nan
from service.retrievers.in_place import search_pointer
from service.retrievers.retriever import NOT_FOUND, TIES

TEMPORARY_BYTES = 256 * 1024 * 1024
"""Memory of the device that FAISS may take for intermediate results."""
MOST_RANKS = 2048
"""More than that no GPU index of FAISS gives a query."""

Result = TypeVar("Result")


class GpuKind(StrEnum):
    """Indices that FAISS keeps on a GPU."""

    FLAT = "GpuIndexFlatIP"
    IVF = "GpuIndexIVFFlat"
    IVFPQ = "GpuIndexIVFPQ"
    CAGRA = "GpuIndexCagra"


class OwnerThread:
    """The one thread that touches what lies on a device."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="gpu-owner")
        self._ident = self._executor.submit(threading.get_ident).result()

    def call(self, work: Callable[[], Result]) -> Result:
        """Return what ``work`` returns in the owner thread, which may call this itself."""
        if threading.get_ident() == self._ident:
            return work()
        return self._executor.submit(work).result()

    def close(self) -> None:
        """End the thread once its work is done."""
        self._executor.shutdown()

    def end_with(self, work: Callable[[], object]) -> None:
        """Let ``work`` be the last that the thread does, and wait for nothing."""
        self._executor.submit(work)
        self._executor.shutdown(wait=False)


def move_to_gpu(
    index: faiss.Index, *, device: int = 0, temporary_bytes: int = TEMPORARY_BYTES
) -> faiss.Index:
    """Return a copy of a flat or clustered CPU index on a GPU; to be called by its owner thread.

    Raises:
        ConfigError: if the installed FAISS knows no GPU.
    """
    resources = _resources(temporary_bytes)
    moved = gpu_symbol("index_cpu_to_gpu")(resources, device, index)
    moved.resources = resources  # they must live as long as the index
    return moved


def make_on_gpu(
    kind: GpuKind,
    vectors: Float32[np.ndarray, "product dim"],
    *,
    clusters: int = 0,
    width: int = 0,
    device: int = 0,
    temporary_bytes: int = TEMPORARY_BYTES,
) -> faiss.Index:
    """Return an index made on a GPU from vectors; to be called by its owner thread.

    Args:
        kind: of the index; ``GpuIndexCagra`` is in builds of FAISS with cuVS only.
        vectors: unit vectors.
        clusters: into how many they are divided, for the kinds that do.
        width: how many of them a search visits; 0 visits all.
        device: number of the GPU.
        temporary_bytes: memory of the device for intermediate results.

    Raises:
        ConfigError: if the installed FAISS knows no GPU, or not this kind.
    """
    make = gpu_symbol(kind)
    resources, dim = _resources(temporary_bytes), vectors.shape[1]
    config = gpu_symbol(f"{kind.removesuffix('IP')}Config")()
    config.device = device
    codes = (dim // 4, 8) if kind is GpuKind.IVFPQ else ()
    shape = (dim, clusters, *codes) if kind in (GpuKind.IVF, GpuKind.IVFPQ) else (dim,)
    metric = () if kind is GpuKind.FLAT else (faiss.METRIC_INNER_PRODUCT,)
    index = make(resources, *shape, *metric, config)
    index.train(vectors)
    if kind is not GpuKind.CAGRA:  # that one keeps what it was trained on
        index.add(vectors)
    if clusters and kind in (GpuKind.IVF, GpuKind.IVFPQ):
        index.nprobe = width or clusters
    index.resources = resources
    return index


def gpu_symbol(name: str) -> Any:
    """Return something of FAISS that only builds for a GPU have.

    Raises:
        ConfigError: if the installed one has it not.
    """
    if not hasattr(faiss, name):
        message = (
            f"the installed FAISS has no {name}; install the extra `gpu` (faiss-gpu-cuvs) on a "
            "machine with a driver, or set the device to cpu"
        )
        raise ConfigError(message)
    return getattr(faiss, name)


class GpuRetriever:
    """Nearest products by an index on a device; its candidates are compared exactly.

    Args:
        index: on the device.
        vectors: exact ones of the same products, in the host's memory or in a file.
        owner: the thread that made the index.
        family: its name.
        candidates: how many the index gives at least; 0 where its own similarities are exact.
    """

    def __init__(
        self,
        index: faiss.Index,
        vectors: ExactVectors,
        *,
        owner: OwnerThread,
        family: str,
        candidates: int = 0,
    ) -> None:
        self._on_device = [index]
        self._vectors = vectors
        self._owner = owner
        # the device's memory is given back by the thread that took it, once nobody searches here
        weakref.finalize(self, owner.end_with, self._on_device.clear)
        self._candidates = candidates
        self.family = family
        self.products, self.dim = vectors.shape

    def search(
        self,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        *,
        allowed: Bool[np.ndarray, " product"] | None = None,
    ) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
        """Return the best products of each query; see `Retriever.search`.

        FAISS has no filter on a GPU: more candidates are asked for, and where too few of them are
        allowed, all that are allowed are compared exactly in the host's memory.
        """
        k = min(k, self.products)
        if allowed is not None:
            return self._search_allowed(queries, k, allowed)
        rows = self._nearest(queries, k + TIES)
        return ranked(self._vectors.similarities(queries, rows), rows, k)

    def search_in_place(
        self, queries: OnDevice, k: int
    ) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
        """Return what `search` does for vectors on the device; candidates are compared exactly."""
        k = min(k, self.products)
        more = self._asked_for(k + TIES)
        similarity, rows = self._owner.call(
            lambda: search_pointer(self._on_device[0], queries, more)
        )
        if self._candidates:  # the index compares something rougher than the vectors
            similarity = self._vectors.similarities(queries.value.numpy(), rows)
        return ranked(similarity, rows, k)

    def similarities(
        self, queries: Float32[np.ndarray, "query dim"], rows: Int64[np.ndarray, "query rank"]
    ) -> Float32[np.ndarray, "query rank"]:
        """Return the similarity of each query to given products; NaN where the row is -1."""
        return missing_as_nan(self._vectors.similarities(queries, rows), rows)

    def _nearest(
        self, queries: Float32[np.ndarray, "query dim"], wanted: int
    ) -> Int64[np.ndarray, "query rank"]:
        more = self._asked_for(wanted)
        return self._owner.call(lambda: self._on_device[0].search(queries, more))[1]

    def _asked_for(self, wanted: int) -> int:
        return min(max(wanted, self._candidates), self.products, MOST_RANKS)

    def _search_allowed(
        self,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        allowed: Bool[np.ndarray, " product"],
    ) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
        must_fit(allowed, self.products)
        few = np.flatnonzero(allowed)
        wanted = math.ceil((k + TIES) * self.products / max(1, len(few)))
        if wanted > MOST_RANKS:
            return exact_search(self._vectors, queries, k, rows=few)
        rows = self._nearest(queries, wanted)
        rows = np.where(allowed[rows], rows, NOT_FOUND)
        similarity, rows = ranked(self._vectors.similarities(queries, rows), rows, k)
        short = np.flatnonzero(rows[:, min(k, len(few)) - 1] == NOT_FOUND)
        if len(short):
            similarity[short], rows[short] = exact_search(
                self._vectors, queries[short], k, rows=few
            )
        return similarity, rows


def _resources(temporary_bytes: int) -> Any:
    resources = gpu_symbol("StandardGpuResources")()
    resources.setTempMemory(temporary_bytes)
    return resources

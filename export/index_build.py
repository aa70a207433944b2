"""The index of a bundle: built, tuned until it finds what is promised, and written down."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from export.faiss_writer import write_faiss_file
from export.index_choice import Choice, IndexWish, choose
from export.index_families import Built
from export.index_measures import Stopwatch, Yardstick, median_milliseconds
from export.index_options import GIGABYTE
from export.index_queries import TuningQueries, draw_queries
from service.contract import bundle as bundles
from service.contract.errors import BundleError
from service.contract.retriever_record import RetrieverRecord
from training.console import say

_BLOCK = 65_536


def write_retriever(
    folder: Path,
    vectors: Float32[np.ndarray, "product dim"],
    *,
    wanted: IndexWish,
    queries: Float32[np.ndarray, "query given"],
    product_ids: Sequence[str] = (),
    stopwatch: Stopwatch = median_milliseconds,
) -> RetrieverRecord:
    """Write the index of some vectors to a bundle's folder, with them where it needs them.

    Args:
        folder: gets ``products.faiss`` and, for families that keep codes only, ``vectors.npy``.
        vectors: unit vectors of the products in catalogue order, may be a mapped file.
        wanted: which index, or by what to choose it.
        queries: unit vectors to tune and measure with; where there are few, products with noise
            take their place.
        product_ids: name the products in errors; without them their rows do.
        stopwatch: measures a search.

    Raises:
        ConfigError: if what is wanted cannot be had: no room, or too little recall.
        BundleError: if a vector holds something else than numbers, or a file cannot be written.
    """
    _must_be_finite(vectors, product_ids)
    asked = draw_queries(vectors, queries, seed=wanted.seed)
    yardstick = Yardstick.of(vectors, asked.queries, stopwatch=stopwatch)
    choice = choose(vectors, wanted, yardstick)
    files = _write(folder, choice.taken.built, vectors)
    size = (folder / bundles.INDEX).stat().st_size
    record = _record(choice, wanted, asked, files=files, memory_bytes=size)
    say(summary(record))
    return record


def summary(record: RetrieverRecord) -> str:
    """Return one sentence for people: which index was taken, and what was measured of it."""
    parts = {"clusters": record.clusters, "width": record.width, "candidates": record.candidates}
    how = ", ".join(f"{name} {value}" for name, value in parts.items() if value)
    flat = "" if record.flat_ms is None else f" (comparing every product: {record.flat_ms:.3g} ms)"
    return (
        f"index: {record.family}{f' with {how}' if how else ''}, "
        f"{record.memory_bytes / GIGABYTE:.2g} GB; finds {record.recall:.2%} of the ten nearest "
        f"products in {record.search_ms:.3g} ms{flat}; measured with {record.queries} "
        f"{record.queries_from}"
    )


def _record(
    choice: Choice,
    wanted: IndexWish,
    asked: TuningQueries,
    *,
    files: tuple[str, ...],
    memory_bytes: int,
) -> RetrieverRecord:
    taken = choice.taken
    return RetrieverRecord(
        family=taken.built.family,
        clusters=taken.built.clusters,
        width=taken.effort.width,
        candidates=taken.effort.candidates,
        promised_recall=wanted.recall,
        recall=taken.recall,
        search_ms=taken.milliseconds,
        flat_ms=choice.flat_ms,
        queries=len(asked.queries),
        queries_from=asked.source,
        memory_bytes=memory_bytes,
        files=files,
        seed=wanted.seed,
    )


def _write(
    folder: Path, built: Built, vectors: Float32[np.ndarray, "product dim"]
) -> tuple[str, ...]:
    """Write the files of an index; return their names."""
    path = folder / bundles.INDEX
    try:
        write_faiss_file(path, built.index)
        if built.keeps_vectors:
            return (bundles.INDEX,)
        path = folder / bundles.VECTORS
        with path.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": vectors.shape}
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(vectors), _BLOCK):
                file.write(np.ascontiguousarray(vectors[start : start + _BLOCK]).data)
    except OSError as error:
        why = error.strerror
        message = f"{path} cannot be written ({why}); make room, then run the same command again"
        raise BundleError(message) from error
    return (bundles.INDEX, bundles.VECTORS)


def _must_be_finite(
    vectors: Float32[np.ndarray, "product dim"], product_ids: Sequence[str]
) -> None:
    for start in range(0, len(vectors), _BLOCK):
        finite = np.isfinite(vectors[start : start + _BLOCK]).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            which = repr(product_ids[row]) if product_ids else f"in row {row}"
            message = f"the vector of product {which} holds NaN or infinity; train again"
            raise BundleError(message)

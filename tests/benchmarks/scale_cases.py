"""What one size of catalogue costs; each measure runs in a process of its own."""

import argparse
import json
import re
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float32

from export.index_build import write_retriever
from export.index_choice import IndexWish
from export.product_index import make_vectors
from export.product_table import write_catalogue
from export.read_products import ReadProducts
from service.contract import bundle as bundles
from service.contract.retriever_record import RetrieverRecord
from service.contract.tokens import TextTokeniser, TokenisedText
from service.encoder import Encoder
from service.retrievers.approximate import recalled
from service.retrievers.exact_vectors import ArrayVectors, exact_search
from service.retrievers.opening import open_retriever
from tests.benchmarks.scale_offers import read_offers
from tests.benchmarks.scale_vectors import open_encoder, rows_made
from training.console import say
from training.data.products import Products
from training.data.synthetic_catalogue import attribute_names, inventions

RANKS = 10
"""Recall is of so many nearest products."""
SHOWN = 5
"""Products that a query gets where its time is measured, as the service gives by default."""
COMPARED = 100
"""Queries whose exact search is timed."""
RECORD = "record.json"

Measured = dict[str, Any]


def main() -> None:
    """Measure one thing and write it as a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale_cases")
    parser.add_argument("measure", choices=MEASURES)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--offers", type=Path, required=True)
    parser.add_argument("--products", type=int, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--memory", type=float, default=8.0, help="GB that an index may take")
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(1)
    say(json.dumps(MEASURES[arguments.measure](arguments)))


def vectors_of(path: Path, products: int) -> Float32[np.ndarray, "product dim"]:
    """Return the vectors of the first products, mapped from a file.

    Raises:
        SystemExit: if the file does not hold so many yet.
    """
    if rows_made(path) < products:
        message = f"{path} holds {rows_made(path)} vectors, {products} are needed; make them first"
        raise SystemExit(message)
    return np.load(path, mmap_mode="r")[:products]


def reading(arguments: argparse.Namespace) -> Measured:
    """Measure what a build does besides encoding and indexing: texts, tokens, table, blocks."""
    tokeniser = TextTokeniser.from_file(arguments.encoder / bundles.TOKENIZER)
    empty = memory_mb("RssAnon")
    items = tuple(one.product for one in islice(inventions(0), arguments.products))
    products = Products(items, attribute_names())
    texts = products.texts(("title",))
    of_products = memory_mb("RssAnon")
    started = time.process_time()
    catalogue = ReadProducts.of(products, texts, tokeniser)
    tokenised, of_tokens = time.process_time(), memory_mb("RssAnon")
    write_catalogue(arguments.work / "products.parquet", catalogue, trained_products=())
    written, of_table = time.process_time(), memory_mb("RssAnon")
    encoder = _Instant(tokeniser, dim=384)
    make_vectors(arguments.work, encoder, catalogue, None, encoder_sha256="none")
    return {
        "products_mb": of_products - empty,
        "tokens_mb": of_tokens - of_products,
        "table_left_mb": of_table - of_tokens,
        "vectors_most_mb": encoder.most_mb - of_table,
        "tokenise_cpu_seconds": tokenised - started,
        "table_cpu_seconds": written - tokenised,
        "vectors_cpu_seconds": time.process_time() - written,
        "table_mb": (arguments.work / "products.parquet").stat().st_size / 1e6,
    }


def building(arguments: argparse.Namespace) -> Measured:
    """Build and tune the index with half of the queries."""
    vectors = vectors_of(arguments.vectors, arguments.products)
    tuning = read_offers(arguments.offers).vectors[::2]
    wish = IndexWish(memory_bytes=int(arguments.memory * 1e9))
    before = memory_mb("RssAnon")
    started, cpu = time.perf_counter(), time.process_time()
    record = write_retriever(arguments.work, vectors, wanted=wish, queries=tuning)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    (arguments.work / RECORD).write_text(record.model_dump_json())
    size = sum((arguments.work / name).stat().st_size for name in record.files)
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": memory_mb("VmHWM") - before,
        "disk_mb": size / 1e6,
        "record": record.model_dump(mode="json"),
    }


def searching(arguments: argparse.Namespace) -> Measured:
    """Search with the other half of the queries, one at a time, on one core."""
    offers = read_offers(arguments.offers)
    queries, texts = offers.vectors[1::2], offers.texts[1::2]
    encoder = open_encoder(arguments.encoder)
    before = memory_mb("RssAnon")
    record = RetrieverRecord.model_validate_json((arguments.work / RECORD).read_bytes())
    retriever = open_retriever(arguments.work, record)
    anonymous = memory_mb("RssAnon") - before
    retriever.search(queries[:1], SHOWN)
    search = _timed(lambda row: retriever.search(queries[row : row + 1], SHOWN), len(queries))
    both = _timed(lambda row: retriever.search(encoder.embed([texts[row]]), SHOWN), len(queries))
    vectors = vectors_of(arguments.vectors, arguments.products)
    exact, _ = exact_search(ArrayVectors(vectors), queries, RANKS)
    found, _ = retriever.search(queries, RANKS)
    return {
        "memory_mb": anonymous,
        "search": search,
        "encode_and_search": both,
        "recall": float(recalled(found, exact[:, -1]).mean()),
        "nearest_p50": float(np.median(exact[:, 0])),
    }


def comparing(arguments: argparse.Namespace) -> Measured:
    """Search FAISS's exact index with some of the queries, to see what ours saves."""
    queries = read_offers(arguments.offers).vectors[1::2][:COMPARED]
    vectors = vectors_of(arguments.vectors, arguments.products)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    index.search(queries[:1], SHOWN)
    return _timed(lambda row: index.search(queries[row : row + 1], SHOWN), len(queries))


def memory_mb(field: str) -> float:
    """Return a field of this process's memory in MB: ``RssAnon`` now, ``VmHWM`` at its peak."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else float("nan")


class _Instant(Encoder):
    """Stands in for an encoder, whose time is measured elsewhere: random unit vectors at once."""

    def __init__(self, tokeniser: TextTokeniser, *, dim: int) -> None:
        self.tokeniser, self.dim = tokeniser, dim
        self.most_mb = 0.0
        self._chance = np.random.default_rng(0)

    def encode(self, texts: Sequence[TokenisedText]) -> Float32[np.ndarray, "text dim"]:
        self.most_mb = max(self.most_mb, memory_mb("RssAnon"))
        vectors = self._chance.standard_normal((len(texts), self.dim), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _timed(ask: Callable[[int], object], queries: int) -> dict[str, float]:
    """Return milliseconds of one query: median and 99th percentile by the clock, and of the CPU."""
    clock, processor = np.empty(queries), np.empty(queries)
    for row in range(queries):
        started, cpu = time.perf_counter(), time.process_time()
        ask(row)
        clock[row], processor[row] = time.perf_counter() - started, time.process_time() - cpu
    p50, p99 = np.quantile(clock, (0.5, 0.99)) * 1000
    return {"p50_ms": float(p50), "p99_ms": float(p99), "cpu_p50_ms": 1000 * np.median(processor)}


MEASURES = {
    "reading": reading,
    "building": building,
    "searching": searching,
    "comparing": comparing,
}


if __name__ == "__main__":
    main()

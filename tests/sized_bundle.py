"""Real bundles of any size in seconds: the products' embeddings are drawn at random."""

import shutil
import tempfile
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from export.bundle_writer import new_bundle, seal
from service.contract import bundle as bundles
from service.contract.golden import write_golden
from service.contract.manifest import Manifest
from service.contract.tokens import TextTokeniser
from service.encoder import Encoder
from service.opening import load_recommender
from tests.swapping import WORDS, texts
from tests.tiny import make_tokenizer, write_bundle, write_encoder


def write_sized_bundle(
    out: Path, *, encoder: Path, tokenizer: Path, products: int, seed: int
) -> bundles.Bundle:
    """Write a sealed bundle of made up products around an encoder and its tokenizer."""
    with new_bundle(out) as folder:
        shutil.copy(encoder, folder / bundles.ENCODER)
        shutil.copy(tokenizer, folder / bundles.TOKENIZER)
        tokeniser = TextTokeniser.from_file(tokenizer)
        opened = Encoder(encoder, tokeniser, workers=1)
        manifest = _manifest(products, opened, threshold=0.8 - 0.1 * (seed % 2))
        _write_index(folder / bundles.INDEX, products, dim=opened.dim, seed=seed)
        _write_catalogue(folder / bundles.CATALOGUE, products, seed=seed)
        draft = load_recommender(bundles.Bundle(folder, manifest), encoder=opened)
        write_golden(folder / bundles.GOLDEN, draft.replay(texts(8, seed=seed)))
        return seal(folder, out, lambda files: manifest.model_copy(update={"files": files}))


def write_word_encoder(folder: Path, *, dim: int, words: int, seed: int) -> tuple[Path, Path]:
    """Write an encoder of so many word vectors; return it with its tokenizer."""
    encoder, tokenizer = folder / f"encoder-{seed}.onnx", folder / "tokenizer.json"
    make_tokenizer(WORDS).save(str(tokenizer))
    write_encoder(encoder, vocabulary_size=words, dim=dim, seed=seed)
    return encoder, tokenizer


def _write_index(path: Path, products: int, *, dim: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(products, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(dim)
    index.add(vectors)
    faiss.write_index(index, str(path))


def _write_catalogue(path: Path, products: int, *, seed: int) -> None:
    titles = [f"product {row} of the range {seed}, in black" for row in range(products)]
    columns = {
        "product_id": [f"p-{seed}-{row}" for row in range(products)],
        "title": titles,
        "category": ["Cameras"] * products,
        "product_text": titles,
        "has_twin": [False] * products,
        "seen_in_training": [True] * products,
    }
    pq.write_table(pa.table(columns), path)


def _manifest(products: int, encoder: Encoder, *, threshold: float) -> Manifest:
    """Return the manifest of a bundle without files, after that of a tiny one."""
    with tempfile.TemporaryDirectory() as folder:
        tiny = write_bundle(Path(folder) / "tiny", threshold=threshold).manifest
    limits = {"dim": encoder.dim, "max_tokens": encoder.tokeniser.max_tokens}
    record = tiny.encoder.model_copy(update=limits)
    catalogue = tiny.catalogue.model_copy(update={"products": products})
    return tiny.model_copy(update={"encoder": record, "catalogue": catalogue, "files": {}})

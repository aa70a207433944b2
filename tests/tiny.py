"""A real bundle in milliseconds: the encoder is the normalised mean of random word vectors.

Everything in it is real (ONNX graph, tokenizer, FAISS index, digests, golden examples); only
training is left out, so tests of the served path need neither torch nor minutes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import faiss
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from export.bundle_writer import new_bundle, seal
from service.contract import bundle as bundles
from service.contract import manifest as manifests
from service.contract.golden import write_golden
from service.contract.text import NORMALISER_VERSION, normalise
from service.contract.tokens import TextTokeniser
from service.encoder import Encoder
from service.opening import load_recommender
from service.recommender import Recommender

PRODUCTS: tuple[tuple[str, str, str], ...] = (
    ("p-1", "Sony WH-1000XM4 Black", "Headphones"),
    ("p-2", "Sony WH-1000XM4 Silver", "Headphones"),
    ("p-3", "Bose QuietComfort 45 White", "Headphones"),
    ("p-4", "Canon EOS R6 Body", "Cameras"),
    ("p-5", "Canon EOS R5 Body", "Cameras"),
    ("p-6", "Nikon Z6 II Body", "Cameras"),
    ("p-7", "Generic Cable", "Accessories"),
    ("p-8", "generic  cable", "Accessories"),
)
"""Product id, title, category; p-7 and p-8 share one text."""

DIM = 16
MAX_TOKENS = 12
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def make_tokenizer(texts: Sequence[str], *, max_tokens: int = MAX_TOKENS) -> Tokenizer:
    """Return a word-level tokenizer that knows the words of ``texts``."""
    pre_tokeniser = BertPreTokenizer()
    words = {w for text in texts for w, _ in pre_tokeniser.pre_tokenize_str(normalise(text))}
    vocabulary = {word: row for row, word in enumerate([*SPECIAL, *sorted(words)])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokeniser
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(max_tokens)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    return tokenizer


def write_encoder(path: Path, *, vocabulary_size: int, dim: int = DIM, seed: int = 0) -> None:
    """Write an ONNX graph: word vectors, masked mean, L2 norm; special tokens weigh nothing."""
    vectors = np.random.default_rng(seed).normal(size=(vocabulary_size, dim)).astype(np.float32)
    vectors[: len(SPECIAL)] *= 0.01
    nodes = [
        helper.make_node("Gather", ["vectors", "input_ids"], ["tokens"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["weights"]),
        helper.make_node("Mul", ["tokens", "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "axis"], ["summed"], keepdims=0),
        helper.make_node("LpNormalization", ["summed"], ["embedding"], axis=-1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["text", "token"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["text", dim])],
        [
            numpy_helper.from_array(vectors, "vectors"),
            numpy_helper.from_array(np.array([2]), "last"),
            numpy_helper.from_array(np.array([1]), "axis"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))


def write_bundle(
    out: Path,
    *,
    threshold: float | None = 0.8,
    products: Sequence[tuple[str, str, str]] = PRODUCTS,
    seed: int = 0,
    further: Mapping[float, float | None] = {},
) -> bundles.Bundle:
    """Write a sealed bundle of ``products`` to ``out``.

    The default promise is 95 %; ``further`` gives thresholds of other targets, None for none.
    """
    calibration = _calibration(threshold, further)
    titles = [title for _, title, _ in products]
    with new_bundle(out) as folder:
        tokenizer = make_tokenizer(titles)
        tokenizer.save(str(folder / bundles.TOKENIZER))
        write_encoder(
            folder / bundles.ENCODER, vocabulary_size=tokenizer.get_vocab_size(), seed=seed
        )
        tokeniser = TextTokeniser.from_file(folder / bundles.TOKENIZER)
        encoder = Encoder(folder / bundles.ENCODER, tokeniser, workers=1)
        index = faiss.IndexFlatIP(DIM)
        index.add(encoder.embed(titles))
        faiss.write_index(index, str(folder / bundles.INDEX))
        ids = [text.ids for text in encoder.tokenise(titles)]
        pq.write_table(_catalogue(products, ids), folder / bundles.CATALOGUE)
        write_golden(folder / bundles.GOLDEN, [])
        unsealed = _manifest({}, calibration, len(products))
        draft = load_recommender(bundles.Bundle(folder=folder, manifest=unsealed))
        write_golden(folder / bundles.GOLDEN, draft.replay([*titles, "", "an unheard of thing"]))
        return seal(folder, out, lambda files: _manifest(files, calibration, len(products)))


def reseal(folder: Path) -> None:
    """Make every digest of an altered bundle right again, as a careless build would."""
    path = folder / bundles.MANIFEST
    manifest = manifests.Manifest.model_validate_json(path.read_bytes())
    files = {name: bundles.digest_file(folder / name) for name in manifest.files}
    path.write_bytes(manifest.model_copy(update={"files": files}).sealed().to_bytes())


def open_tiny(folder: Path) -> Recommender:
    """Return the recommender of a bundle that `write_bundle` wrote."""
    return load_recommender(bundles.open_bundle(folder))


def _catalogue(
    products: Sequence[tuple[str, str, str]], ids: Sequence[tuple[int, ...]]
) -> pa.Table:
    return pa.table(
        {
            "product_id": [product_id for product_id, _, _ in products],
            "title": [title for _, title, _ in products],
            "category": [category for _, _, category in products],
            "brand": [title.split()[0] for _, title, _ in products],
            "product_text": [title for _, title, _ in products],
            "has_twin": [ids.count(own) > 1 for own in ids],
            "seen_in_training": [True for _ in products],
        }
    )


def _calibration(
    threshold: float | None, further: Mapping[float, float | None]
) -> manifests.Calibration:
    """Return an invented calibration in the form of a real one."""
    return manifests.Calibration(
        target_precision=0.95,
        confidence=0.95,
        queries=100,
        validation_queries=100,
        data_sha256="0" * 64,
        operating_point=_point(threshold, 0.95),
        explanation="invented for tests",
        further=tuple(
            manifests.FurtherPoint(
                target_precision=target,
                operating_point=_point(further[target], target),
                explanation=f"invented for tests of {target}",
            )
            for target in sorted(further)
        ),
    )


def _point(threshold: float | None, target_precision: float) -> manifests.OperatingPoint | None:
    if threshold is None:
        return None
    return manifests.OperatingPoint(
        threshold=threshold,
        target_precision=target_precision,
        confidence=0.95,
        queries=100,
        accepted=80,
        wrong=0,
        p_value=target_precision**80,
        precision_lower_bound=0.963,
    )


def _manifest(
    files: dict[str, manifests.FileDigest], calibration: manifests.Calibration, products: int
) -> manifests.Manifest:
    return manifests.Manifest(
        schema_version=manifests.SCHEMA_VERSION,
        normaliser_version=NORMALISER_VERSION,
        release="test",
        created_at="2026-01-01T00:00:00Z",
        encoder=manifests.EncoderRecord(
            base="tiny", dim=DIM, max_tokens=MAX_TOKENS, precision="fp32", parity_max_error=0.0
        ),
        catalogue=manifests.CatalogueRecord(
            products=products,
            product_text=("title",),
            attributes=("brand",),
            index="Flat",
        ),
        training=manifests.TrainingRecord(
            config_sha256="0" * 64, data_sha256="0" * 64, seed=0, epochs=0, commit=None
        ),
        calibration=calibration,
        golden_tolerance=manifests.GoldenTolerance(embedding=1e-4, similarity=1e-4),
        files=files,
    )

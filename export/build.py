"""A checkpoint and labelled queries to a sealed bundle, step by step."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from export.bundle_writer import new_bundle, seal
from export.encoder_variants.served_form import (
    JudgedOn,
    ServedForm,
    Wanted,
    serve_form,
)
from export.golden_examples import golden_examples
from export.index_build import write_retriever
from export.index_choice import IndexWish
from export.onnx_encoder import write_onnx
from export.operating_point import LabelledSets, calibrate_all
from export.parity import check_parity
from export.product_index import CatalogueVectors, make_vectors
from export.product_table import write_catalogue
from export.read_products import ReadProducts
from export.signals import SignalOptions, add_signals, choose_columns, with_points
from export.work_folder import work_beside
from service.catalogue import Catalogue
from service.contract import bundle as bundles
from service.contract import manifest as manifests
from service.contract.bundle import Bundle, digest_file
from service.contract.golden import write_golden
from service.contract.release import RELEASE
from service.contract.retriever_record import Family, RetrieverRecord
from service.contract.text import NORMALISER_VERSION
from service.contract.tokens import TextTokeniser
from service.encoder import Encoder
from service.recommender import Recommender
from service.retrievers.opening import open_retriever
from training.checkpoint import Checkpoint
from training.console import say
from training.data.products import Products

_PARITY_TEXTS = 256


@dataclass(frozen=True)
class Promise:
    """What a bundle shall promise: this precision among the accepted, with this confidence.

    Attributes:
        target_precision: of the default promise, in (0, 1).
        confidence: of each promise by itself, in (0, 1).
        further_targets: precisions of promises that a caller may ask for instead.
    """

    target_precision: float
    confidence: float
    further_targets: Collection[float] = ()


def build_bundle(  # noqa: PLR0913  # every one of them is a choice of whoever builds
    checkpoint: Checkpoint,
    products: Products,
    sets: LabelledSets,
    out: Path,
    *,
    promise: Promise,
    index: IndexWish | None = None,
    signals: SignalOptions | None = None,
    wanted: Wanted | None = None,
) -> Bundle:
    """Write the bundle of a trained encoder and a catalogue to ``out``, whole or not at all.

    Everything in it is made with the form of the encoder that is served: what is ``wanted``, or
    fp32. The index is the one that ``index`` asks for; without it, by what is measured, with 0.99
    of the nearest products found. Vectors that a build of the same things made before it was
    interrupted are not made again.

    Raises:
        BundleError: if ``out`` is taken, another process builds it, it cannot be written, the
            export does not match the encoder, or the form that is wanted does not match fp32.
        ConfigError: if the products lack a column that the encoder was trained on or that
            ``signals`` name, or no such index can be had.
    """
    signals = signals or SignalOptions()
    choose_columns(products.attribute_names, signals.identifiers)  # say now, not after the work
    texts = products.texts(checkpoint.config.data.product_text)
    with work_beside(out) as work, new_bundle(out, within=work) as folder:
        say("exporting the encoder to ONNX")
        plain = _export_encoder(checkpoint, folder, _parity_texts(texts, sets))
        on = JudgedOn(products, texts, sets, promise.target_precision)
        served = serve_form(folder / bundles.ENCODER, plain, checkpoint, on, wanted or Wanted())
        encoder = served.encoder
        catalogue = ReadProducts.of(products, texts, encoder.tokeniser)
        index = index or IndexWish()
        queries = encoder.embed([query.text for query in sets.validation])
        made = _make_vectors(checkpoint, folder, encoder, catalogue, work=work)
        retriever = write_retriever(
            folder,
            made.table,
            wanted=index,
            queries=queries,
            product_ids=products.product_ids(),
        )
        record = _catalogue_record(checkpoint, catalogue, retriever, trained=made.trained)
        recommender = Recommender(
            encoder,
            open_retriever(folder, record.retriever),
            Catalogue.from_file(folder / bundles.CATALOGUE),
            threshold=None,
        )
        known, recommender = add_signals(recommender, folder, catalogue, sets, signals)
        calibrated = calibrate_all(
            recommender,
            sets,
            target_precision=promise.target_precision,
            confidence=promise.confidence,
            further_targets=promise.further_targets,
        )
        calibration, known = calibrated.calibration, with_points(known, calibrated)
        point = calibration.operating_point
        rules = known.rules_at(promise.target_precision) if known else None
        final = recommender.with_threshold(point.threshold if point else None, rules=rules)
        asked = [query.text for query in sets.validation + sets.calibration]
        write_golden(
            folder / bundles.GOLDEN, golden_examples(final, asked, tolerance=served.tolerance)
        )

        def manifest(files: dict[str, manifests.FileDigest]) -> manifests.Manifest:
            made = _manifest(checkpoint, record, served, calibration, files)
            return made.model_copy(update={"signals": known})

        return seal(folder, out, manifest)


def _export_encoder(
    checkpoint: Checkpoint, folder: Path, texts: Sequence[str]
) -> tuple[Encoder, float]:
    """Write graph and tokenizer; return the opened export and its distance from PyTorch."""
    write_onnx(checkpoint.encoder.model, folder / bundles.ENCODER)
    tokenizer = checkpoint.encoder.tokenizer.to_str(pretty=True)  # its own `save` hides OSError
    (folder / bundles.TOKENIZER).write_bytes(tokenizer.encode())
    tokeniser = TextTokeniser.from_file(folder / bundles.TOKENIZER)
    encoder = Encoder(folder / bundles.ENCODER, tokeniser)
    return encoder, check_parity(checkpoint.encoder, encoder, texts)


def _make_vectors(
    checkpoint: Checkpoint,
    folder: Path,
    encoder: Encoder,
    catalogue: ReadProducts,
    *,
    work: Path,
) -> CatalogueVectors:
    """Write the product table; return the products' vectors."""
    path = folder / bundles.CATALOGUE
    write_catalogue(path, catalogue, trained_products=checkpoint.trained_products)
    vectors = checkpoint.product_vectors
    encoder_sha256 = digest_file(folder / bundles.ENCODER).sha256
    made = make_vectors(work, encoder, catalogue, vectors, encoder_sha256=encoder_sha256)
    if vectors is not None:
        say(
            f"{made.trained} of {len(catalogue.products)} products are served by the vector that "
            "training gave them, the others by their text"
        )
    return made


def _catalogue_record(
    checkpoint: Checkpoint, catalogue: ReadProducts, retriever: RetrieverRecord, *, trained: int
) -> manifests.CatalogueRecord:
    return manifests.CatalogueRecord(
        products=len(catalogue.products),
        product_text=checkpoint.config.data.product_text,
        attributes=catalogue.products.attribute_names,
        index="Flat" if retriever.family is Family.FLAT else retriever.family.value,
        trained_vectors=trained,
        retriever=retriever,
    )


def _parity_texts(product_texts: Sequence[str], sets: LabelledSets) -> list[str]:
    queries = [query.text for query in sets.validation + sets.calibration]
    return [*product_texts[: _PARITY_TEXTS // 2], *queries[: _PARITY_TEXTS // 2]]


def _manifest(
    checkpoint: Checkpoint,
    catalogue: manifests.CatalogueRecord,
    served: ServedForm,
    calibration: manifests.Calibration,
    files: dict[str, manifests.FileDigest],
) -> manifests.Manifest:
    record = checkpoint.record
    return manifests.Manifest(
        schema_version=manifests.SCHEMA_VERSION,
        normaliser_version=NORMALISER_VERSION,
        release=RELEASE,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        encoder=served.record(record.base),
        catalogue=catalogue,
        training=manifests.TrainingRecord(
            config_sha256=record.config_sha256,
            data_sha256=record.data_sha256,
            seed=record.seed,
            epochs=record.epochs,
            commit=record.commit,
        ),
        calibration=calibration,
        golden_tolerance=served.tolerance,
        golden_tolerance_by_cpu=served.tolerance_by_cpu,
        files=files,
    )

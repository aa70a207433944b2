"""Builds what a bundle knows besides embeddings: identifier columns, words, the learnt score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.operating_point import Calibrated, LabelledSets, digest_of_queries
from export.read_products import ReadProducts
from service.catalogue import Catalogue
from service.contract import bundle as bundles
from service.contract.errors import ConfigError
from service.contract.signals import (
    DecidesOn,
    IdentifierColumn,
    IdentifierKind,
    LexicalRecord,
    ScoreModel,
    SignalsRecord,
)
from service.contract.text import normalise
from service.recommender import Recommender
from service.signals import LexicalIndex, Nearest, QueryText, described, load_signals
from service.signals.features import feature_names
from training.console import progress, say
from training.data.matches import LabelledQuery
from training.data.products import Products
from training.score_fit import fit_score

DETECTED: Mapping[str, IdentifierKind] = {
    "gtin": IdentifierKind.GTIN,
    "ean": IdentifierKind.GTIN,
    "upc": IdentifierKind.GTIN,
    "mpn": IdentifierKind.MPN,
}
"""Columns of these names are taken for identifiers unless the command names others."""


@dataclass(frozen=True)
class SignalOptions:
    """What shall be built.

    Attributes:
        identifiers: kind and column of each; None takes the columns of `DETECTED`.
        lexical: whether to build a BM25 index.
        score: whether answers are decided on a learnt score.
    """

    identifiers: Sequence[tuple[IdentifierKind, str]] | None = None
    lexical: bool = False
    score: bool = False


def identifier_columns(
    products: Products, wanted: Sequence[tuple[IdentifierKind, str]] | None
) -> tuple[IdentifierColumn, ...]:
    """Return the catalogue's columns of identifiers, and say what was found in them.

    Raises:
        ConfigError: if a column that was named is not there.
    """
    chosen = choose_columns(products.attribute_names, wanted)
    columns = [
        described(kind, name, (product.attributes.get(name) for product in products.items))
        for kind, name in chosen
    ]
    for column in columns:
        say(_line(column, len(products), is_detected=wanted is None))
    return tuple(columns)


def choose_columns(
    there: Sequence[str], wanted: Sequence[tuple[IdentifierKind, str]] | None
) -> list[tuple[IdentifierKind, str]]:
    """Return kind and name of the columns of identifiers among those that are there.

    Raises:
        ConfigError: if a column that was named is not there.
    """
    if wanted is None:
        return [(DETECTED[n.casefold()], n) for n in there if n.casefold() in DETECTED]
    for _, name in wanted:
        if name not in there:
            found = f"only {', '.join(there)}; name one of these, or" if there else "nor any other;"
            message = (
                f"products have no column {name!r} for --identifiers, {found} write "
                "--identifiers none"
            )
            raise ConfigError(message)
    return list(wanted)


def add_signals(
    recommender: Recommender,
    folder: Path,
    catalogue: ReadProducts,
    sets: LabelledSets,
    options: SignalOptions | None,
) -> tuple[SignalsRecord | None, Recommender]:
    """Return what the manifest says of the signals, and the recommender that uses them.

    Args:
        recommender: of embeddings alone.
        folder: of the bundle, which gets the lexical index.
        catalogue: the products.
        sets: labelled queries; the score is fitted on those for validation.
        options: what shall be built; None for what is built unless told otherwise.

    Raises:
        CalibrationError: if there are too few validation queries to fit a score on.
        ConfigError: if a column of identifiers is not there.
    """
    options = options or SignalOptions()
    identifiers = identifier_columns(catalogue.products, options.identifiers)
    lexical = _write_lexical(folder, catalogue.texts) if options.lexical else None
    if not identifiers and lexical is None and not options.score:
        return None, recommender
    record = SignalsRecord(identifiers=identifiers, lexical=lexical)
    informed = _informed(recommender, record, folder)
    if options.score:
        record = _with_score(record, informed, sets.validation)
        informed = _informed(recommender, record, folder)
    return record, informed


def with_points(record: SignalsRecord | None, calibrated: Calibrated) -> SignalsRecord | None:
    """Return the record with what calibration says of identifiers."""
    if record is None:
        return None
    return record.model_copy(update={"identifier_points": calibrated.identifier_points})


def _informed(recommender: Recommender, record: SignalsRecord, folder: Path) -> Recommender:
    catalogue = Catalogue.from_file(folder / bundles.CATALOGUE)
    signals = load_signals(record, folder, catalogue)
    return Recommender(
        recommender.encoder, recommender.retriever, catalogue, threshold=None, signals=signals
    )


def _write_lexical(folder: Path, texts: Sequence[str]) -> LexicalRecord:
    index = LexicalIndex.of(texts)
    index.write(folder)
    say(f"lexical index of {index.record.words} distinct words")
    return index.record


def _with_score(
    record: SignalsRecord, recommender: Recommender, queries: Sequence[LabelledQuery]
) -> SignalsRecord:
    """Return the record with a score fitted on the served candidates of ``queries``."""
    found, is_right = _candidates(recommender, queries)
    fitted = fit_score(found, is_right)
    model = ScoreModel(
        features=feature_names(has_lexical=record.lexical is not None),
        weights=fitted.weights,
        intercept=fitted.intercept,
        queries=len(queries),
        data_sha256=digest_of_queries({"score": queries}),
    )
    say(f"score fitted on {len(found)} candidates of {len(queries)} validation queries")
    return record.model_copy(update={"score": model, "decides_on": DecidesOn.SCORE})


def _candidates(
    recommender: Recommender, queries: Sequence[LabelledQuery]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of every candidate, and whether it is right."""
    signals = recommender.signals
    if signals is None:
        message = "the recommender has no signals to take candidates from"
        raise ValueError(message)
    width = len(feature_names(has_lexical=signals.lexical is not None))
    found, is_right = [np.empty((0, width))], [np.empty(0, dtype=bool)]
    with progress(len(queries), "candidates for the score", unit="queries") as shown:
        for query in queries:
            embedding = recommender.encoder.embed([query.text])[0]
            shown.advance(1)
            if not np.isfinite(embedding).all():
                continue
            similarity, rows = recommender.retriever.search(embedding[None], signals.depth)
            text = QueryText(normalise(query.text))
            near = Nearest(embedding, similarity[0], rows[0])
            pool = signals.pool(text, near, recommender.retriever)
            if not len(pool.rows) or not text.text:
                continue
            found.append(signals.features(text, pool))
            ids = [recommender.catalogue.product_ids[int(row)] for row in pool.rows]
            is_right.append(np.array([i in query.positives for i in ids], dtype=bool))
    return np.concatenate(found), np.concatenate(is_right)


def _line(column: IdentifierColumn, products: int, *, is_detected: bool) -> str:
    how = " (found by its name; --identifiers none leaves it out)" if is_detected else ""
    return (
        f"column {column.column} is taken for {column.kind.value.upper()}{how}: {column.products} "
        f"of {products} products have a usable one, {column.unusable} entries are none, "
        f"{column.shared} are shared by several products and name none of them"
    )

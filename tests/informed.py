"""A tiny bundle that knows identifiers, words and a score, made of one that does not."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.contract import bundle as bundles
from service.contract.golden import write_golden
from service.contract.manifest import Manifest
from service.contract.signals import (
    DecidesOn,
    IdentifierColumn,
    IdentifierKind,
    IdentifierPoint,
    ScoreModel,
    SignalsRecord,
)
from service.opening import load_recommender
from service.signals import LexicalIndex
from service.signals.features import feature_names

GTINS = {
    "p-1": "4905524930016",
    "p-2": "4905524930023",
    "p-3": "0017817834414",
    "p-5": "4549292138610",
    "p-6": "4549292138610",  # shared with p-5
    "p-7": "4006381333931",
}
MPNS = {"p-1": "WH1000XM4/B", "p-4": "4082C002", "p-5": "4147C002"}
"""Identifiers of products of `tests.tiny.PRODUCTS`."""


def inform(
    folder: Path,
    *,
    identifiers: bool = False,
    lexical: bool = False,
    score: bool = False,
    accepted: Mapping[IdentifierKind, bool] = {},
) -> Manifest:
    """Make an unsealed-and-sealed-again bundle of ``folder`` that knows what is wished for."""
    path = folder / bundles.MANIFEST
    manifest = Manifest.model_validate_json(path.read_bytes())
    table = pq.read_table(folder / bundles.CATALOGUE)
    ids: list[str] = table.column("product_id").to_pylist()
    for name, own in (("gtin", GTINS), ("mpn", MPNS)) if identifiers else ():
        table = table.append_column(name, pa.array([own.get(i) for i in ids], pa.string()))
    pq.write_table(table, folder / bundles.CATALOGUE)
    index = LexicalIndex.of(table.column("product_text").to_pylist())
    if lexical:
        index.write(folder)
    record = SignalsRecord(
        decides_on=DecidesOn.SCORE if score else DecidesOn.SIMILARITY,
        identifiers=_columns() if identifiers else (),
        identifier_points=[_point(kind, yes) for kind, yes in accepted.items()],  # pyright: ignore[reportArgumentType]
        lexical=index.record if lexical else None,
        score=_score(has_lexical=lexical) if score else None,
    )
    return _seal(folder, manifest.model_copy(update={"signals": record}))


def _seal(folder: Path, manifest: Manifest) -> Manifest:
    draft = load_recommender(bundles.Bundle(folder=folder, manifest=manifest))
    titles = list(draft.catalogue.titles)
    write_golden(folder / bundles.GOLDEN, draft.replay([*titles[:6], ""]))
    names: Sequence[str] = sorted(p.name for p in folder.iterdir() if p.name != bundles.MANIFEST)
    files = {name: bundles.digest_file(folder / name) for name in names}
    sealed = manifest.model_copy(update={"files": files}).sealed()
    (folder / bundles.MANIFEST).write_bytes(sealed.to_bytes())
    return sealed


def _columns() -> tuple[IdentifierColumn, ...]:
    return tuple(
        IdentifierColumn(kind=kind, column=kind.value, products=1, unusable=0, shared=0)
        for kind in IdentifierKind
    )


def _point(kind: IdentifierKind, is_accepted: bool) -> IdentifierPoint:
    return IdentifierPoint(
        kind=kind,
        target_precision=0.95,
        matches=200,
        wrong=0,
        p_value=0.0,
        precision_lower_bound=0.98,
        is_accepted=is_accepted,
    )


def _score(*, has_lexical: bool) -> ScoreModel:
    """Return a score that looks at the words of the query that are found, and a little at all."""
    features = feature_names(has_lexical=has_lexical)
    weights = tuple(8.0 if name == "query_words_found" else 1.0 for name in features)
    return ScoreModel(
        features=features, weights=weights, intercept=-6.0, queries=50, data_sha256="0" * 64
    )

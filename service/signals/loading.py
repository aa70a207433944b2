"""From a verified bundle to the signals that its answers rest on."""

from collections.abc import Sequence
from pathlib import Path

from service.catalogue import Catalogue
from service.contract.errors import BundleCorruptError
from service.contract.signals import IdentifierKind, ScoreModel, SignalsRecord
from service.signals.features import feature_names
from service.signals.identifiers import IdentifierTable
from service.signals.lexical import LexicalIndex
from service.signals.ranking import Signals


def load_signals(record: SignalsRecord, folder: Path, catalogue: Catalogue) -> Signals:
    """Return the signals of a bundle.

    Args:
        record: what its manifest says of them.
        folder: of the bundle, whose files were checked.
        catalogue: of the bundle.

    Raises:
        BundleCorruptError: if the bundle does not hold what its manifest says.
    """
    lexical = None
    if record.lexical is not None:
        if record.lexical.products != len(catalogue):
            message = (
                f"the lexical index in {folder} has {record.lexical.products} products, the "
                f"catalogue {len(catalogue)}; build the bundle again"
            )
            raise BundleCorruptError(message)
        lexical = LexicalIndex.from_folder(folder, record.lexical)
    if record.score is not None:
        _must_fit(record.score, folder, has_lexical=lexical is not None)
    identifiers = _identifiers(record, folder, catalogue)
    return Signals(catalogue.texts, identifiers=identifiers, lexical=lexical, score=record.score)


def _must_fit(score: ScoreModel, folder: Path, *, has_lexical: bool) -> None:
    needed = feature_names(has_lexical=has_lexical)
    if score.features != needed:
        message = (
            f"the score in {folder} is made of {', '.join(score.features)}, this release gives "
            f"{', '.join(needed)}; build the bundle again"
        )
        raise BundleCorruptError(message)


def _identifiers(
    record: SignalsRecord, folder: Path, catalogue: Catalogue
) -> IdentifierTable | None:
    if not record.identifiers:
        return None
    entries: dict[IdentifierKind, list[Sequence[str | None]]] = {}
    for one in record.identifiers:
        if one.column not in catalogue.table.column_names:
            message = f"the catalogue in {folder} has no column {one.column}; build it again"
            raise BundleCorruptError(message)
        column: list[str | None] = catalogue.table.column(one.column).to_pylist()
        entries.setdefault(one.kind, []).append(column)
    return IdentifierTable.of(entries)

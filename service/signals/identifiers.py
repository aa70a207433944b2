"""From identifiers to the products that have them, and what a query's identifiers name."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from service.contract.signals import IdentifierColumn, IdentifierKind, IdentifierRule
from service.signals.gtin import FoundGtins, digits_of, gtin_of, gtins_in
from service.signals.mpn import mpn_of, mpns_in

REMEMBERED = 1 << 15
"""So many entries are read once only: each change of a product asks for all fresh ones again."""
SEPARATORS = ",;|"
"""Part several identifiers in one entry of a column."""


class IdentifierStatus(StrEnum):
    """What came of the identifiers that were given with a query or found in its text."""

    MATCHED = "matched"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"
    INVALID_CHECK_DIGIT = "invalid_check_digit"
    INVALID_GTIN = "invalid_gtin"
    NOT_INDEXED = "not_indexed"


@dataclass(frozen=True, slots=True)
class QueryText:
    """What the exact signals are told of a query.

    Attributes:
        text: in its normal form.
        gtin: given beside the text; None where it was not.
        mpn: the same.
    """

    text: str
    gtin: str | None = None
    mpn: str | None = None


@dataclass(frozen=True, slots=True)
class IdentifierMatch:
    """What the identifiers of a query name.

    Attributes:
        status: what came of them.
        kind: what named a product; None where nothing did.
        rows: of the products named; more than one where they are ambiguous.
    """

    status: IdentifierStatus
    kind: IdentifierKind | None = None
    rows: tuple[int, ...] = ()

    @property
    def row(self) -> int | None:
        """Return the row of the one product that is named, or None."""
        return self.rows[0] if self.status is IdentifierStatus.MATCHED else None

    def rule_in(self, rules: Mapping[IdentifierKind, IdentifierRule]) -> IdentifierRule:
        """Return what happens to this match; what was never calibrated is left to the threshold."""
        by_threshold = IdentifierRule.BY_THRESHOLD
        return by_threshold if self.kind is None else rules.get(self.kind, by_threshold)


Entries = Mapping[IdentifierKind, Sequence[Sequence[str | None]]]
"""By kind: the entries of each of its columns, one a product."""
Fresh = Mapping[int, Mapping[IdentifierKind, Sequence[str]]]
"""By row of a product that came later: its entries of each kind."""
Rows = Mapping[IdentifierKind, Mapping[str, tuple[int, ...]]]
"""By kind and identifier: the rows of the products that have it."""


class IdentifierTable:
    """Rows of the products that have an identifier; safe to share between threads."""

    def __init__(
        self,
        rows: Rows,
        *,
        fresh: Rows | None = None,
        removed: frozenset[int] = frozenset(),
    ) -> None:
        self._rows = rows
        self._fresh: Rows = fresh or {}
        self._removed = removed

    @classmethod
    def of(cls, entries: Entries) -> "IdentifierTable":
        """Return the table of a catalogue."""
        return cls(
            {kind: _rows_of(kind, map(enumerate, columns)) for kind, columns in entries.items()}
        )

    def with_changes(self, *, removed: Collection[int], fresh: Fresh) -> "IdentifierTable":
        """Return the table of a catalogue that has changed; this one stays as it is.

        Args:
            removed: rows of all products that are gone, fresh ones among them.
            fresh: entries of all products that came since, by their row.
        """
        added = {
            kind: _rows_of(
                kind, [[(row, e) for row, own in fresh.items() for e in own.get(kind, ())]]
            )
            for kind in self._rows
        }
        return IdentifierTable(self._rows, fresh=added, removed=frozenset(removed))

    def look_up(self, query: QueryText) -> IdentifierMatch | None:
        """Return what a query's identifiers name; None where it has none.

        What was given and what stands in the text count alike, a GTIN before an MPN. Numbers in
        the text that no product has are no identifiers, unless nothing else was found and a check
        digit is wrong.
        """
        given = query.gtin is not None or query.mpn is not None
        gtins, mistake = self._gtins(query)
        mpns = self._mpns(query)
        for kind, values in ((IdentifierKind.GTIN, gtins), (IdentifierKind.MPN, mpns)):
            if found := self._named(kind, values):
                return found
        if mistake is not None:
            return IdentifierMatch(mistake)
        return IdentifierMatch(IdentifierStatus.UNKNOWN) if given else None

    def _gtins(self, query: QueryText) -> tuple[list[str], IdentifierStatus | None]:
        """Return the valid GTINs, and what is wrong with one that is not."""
        found = gtins_in(query.text) if IdentifierKind.GTIN in self._rows else FoundGtins((), 0)
        values = list(found.valid)
        mistake = IdentifierStatus.INVALID_CHECK_DIGIT if found.wrong else None
        if query.gtin is not None:
            given = gtin_of(query.gtin)
            if given is not None:
                values.insert(0, given)
            elif _is_without_value(query.gtin):
                mistake = IdentifierStatus.INVALID_GTIN
            else:
                mistake = IdentifierStatus.INVALID_CHECK_DIGIT
        return values, mistake

    def _mpns(self, query: QueryText) -> list[str]:
        found = mpns_in(query.text) if IdentifierKind.MPN in self._rows else []
        given = None if query.mpn is None else mpn_of(query.mpn)
        return found if given is None else [given, *found]

    def _named(self, kind: IdentifierKind, values: Iterable[str]) -> IdentifierMatch | None:
        """Return which products these values name; None where none of them is known."""
        holders = [self._holders(kind, value) for value in dict.fromkeys(values)]
        if kind is IdentifierKind.MPN:  # one that several products have is no more than a word
            holders = [rows for rows in holders if len(rows) == 1]
        rows = tuple(dict.fromkeys(row for rows in holders for row in rows))
        if not rows:
            return None
        one = len(rows) == 1
        return IdentifierMatch(
            IdentifierStatus.MATCHED if one else IdentifierStatus.AMBIGUOUS, kind, rows
        )

    def _holders(self, kind: IdentifierKind, value: str) -> tuple[int, ...]:
        """Return the rows of the products that have an identifier now."""
        rows = self._rows.get(kind, {}).get(value, ()) + self._fresh.get(kind, {}).get(value, ())
        return tuple(row for row in rows if row not in self._removed) if self._removed else rows


def described(kind: IdentifierKind, column: str, entries: Iterable[str | None]) -> IdentifierColumn:
    """Return what a column of the catalogue holds of identifiers of one kind."""
    products, unusable = 0, 0
    holders: dict[str, set[int]] = {}
    for row, entry in enumerate(entries):
        parts = _parts(entry)
        values = [value for part in parts if (value := _value(kind, part)) is not None]
        unusable += len(parts) - len(values)
        products += bool(values)
        for value in values:
            holders.setdefault(value, set()).add(row)
    shared = sum(len(rows) > 1 for rows in holders.values())
    return IdentifierColumn(
        kind=kind, column=column, products=products, unusable=unusable, shared=shared
    )


def _rows_of(
    kind: IdentifierKind, columns: Iterable[Iterable[tuple[int, str | None]]]
) -> dict[str, tuple[int, ...]]:
    """Return the rows of the products that have each identifier, every product once."""
    rows: dict[str, dict[int, None]] = {}
    for column in columns:
        for row, entry in column:
            for part in _parts(entry):
                if (value := _value(kind, part)) is not None:
                    rows.setdefault(value, {})[row] = None
    return {value: tuple(own) for value, own in rows.items()}


def _parts(entry: str | None) -> list[str]:
    """Return the identifiers in one entry of a column."""
    if not entry:
        return []
    for separator in SEPARATORS[1:]:
        entry = entry.replace(separator, SEPARATORS[0])
    return [part for one in entry.split(SEPARATORS[0]) if (part := one.strip())]


@lru_cache(REMEMBERED)
def _value(kind: IdentifierKind, part: str) -> str | None:
    return gtin_of(part) if kind is IdentifierKind.GTIN else mpn_of(part)


def _is_without_value(entry: str) -> bool:
    """Return whether an entry cannot be a GTIN, whatever its last digit."""
    digits = digits_of(entry)
    return digits is None or not digits.strip("0")

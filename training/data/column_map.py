"""Renames and joins the columns of other people's files: what ``--map TARGET=SOURCE`` asks for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self, cast

from service.contract.errors import ConfigError, DataError, UsageError
from training.data.tables import Table

FileKind = Literal["products", "matches", "queries"]

KNOWN_COLUMNS: Mapping[FileKind, tuple[str, ...]] = {
    "products": ("product_id", "title", "category"),
    "matches": ("query_id", "text", "product_id", "split", "user_id", "grade"),
    "queries": ("query_id", "text", "user_id"),
}
"""Columns that a kind of file gives a meaning to; any other column of products is an attribute."""

USAGE = "TARGET=SOURCE[,SOURCE...], where products:, matches: or queries: may stand before TARGET"


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """One ``--map``: the column ``target`` is made from the columns ``sources``."""

    written: str
    kind: FileKind | None
    target: str
    sources: tuple[str, ...]

    def kinds(self) -> tuple[FileKind, ...]:
        """Return the kinds of file it speaks of; an unknown target is an attribute of products."""
        if self.kind is not None:
            return (self.kind,)
        return tuple(k for k, names in KNOWN_COLUMNS.items() if self.target in names) or (
            "products",
        )

    def is_needed(self) -> bool:
        """Return whether its sources must exist: it speaks of one kind of file alone."""
        return len(self.kinds()) == 1


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """All the mappings of one command; remembers which of them found their columns."""

    rules: tuple[ColumnRule, ...] = ()
    _applied: set[str] = field(default_factory=set[str], compare=False, repr=False)

    @classmethod
    def parse(cls, written: Iterable[str]) -> Self:
        """Return the map that a command line asks for.

        >>> ColumnMap.parse(["matches:text=offer"]).rules[0].sources
        ('offer',)

        Raises:
            UsageError: if one is not of the form TARGET=SOURCE, or two make the same column.
        """
        rules = tuple(map(_parse_rule, written))
        for place, rule in enumerate(rules):
            for earlier in rules[:place]:
                if rule.target == earlier.target and set(rule.kinds()) & set(earlier.kinds()):
                    message = (
                        f"--map {earlier.written} and --map {rule.written} make the same column; "
                        "keep one of them, or say products:, matches: or queries: before TARGET"
                    )
                    raise UsageError(message)
        return cls(rules)

    def apply(self, table: Table, kind: FileKind) -> Table:
        """Return ``table`` with its columns renamed and joined.

        A column named alone as a source is renamed; columns that are joined stay as well.
        A rule that speaks of several kinds of file leaves a file without its sources alone.

        Raises:
            DataError: if a source column is missing.
        """
        rules = [rule for rule in self.rules if kind in rule.kinds() and _check(rule, table)]
        if not rules:
            return table
        self._applied.update(rule.written for rule in rules)
        renamed = {rule.sources[0] for rule in rules if len(rule.sources) == 1}
        columns = {name: c for name, c in table.columns.items() if name not in renamed}
        first_gap = {name: row for name, row in table.first_gap.items() if name in columns}
        for rule in rules:
            columns[rule.target] = _joined(rule, table)
            first_gap.pop(rule.target, None)
            if len(rule.sources) == 1 and rule.sources[0] in table.first_gap:
                first_gap[rule.target] = table.first_gap[rule.sources[0]]
        made_from = {rule.target: ",".join(rule.sources) for rule in rules}
        return replace(table, columns=columns, first_gap=first_gap, made_from=made_from)

    def check_all_applied(self) -> None:
        """Check that every mapping found its columns in at least one file that was read.

        Raises:
            ConfigError: if one applied to nothing.
        """
        for rule in self.rules:
            if rule.written not in self._applied:
                message = (
                    f"--map {rule.written} applied to no file that was read: "
                    f"{' or '.join(rule.kinds())} with {', '.join(map(repr, rule.sources))} "
                    "was needed; correct it or leave it out"
                )
                raise ConfigError(message)


def _parse_rule(written: str) -> ColumnRule:
    left, _, right = written.partition("=")
    prefix, colon, rest = left.rpartition(":")
    sources = tuple(source.strip() for source in right.split(","))
    if not rest.strip() or not all(sources):
        message = f"--map {written!r} is of another form; write {USAGE}"
        raise UsageError(message)
    if colon and prefix.strip() not in KNOWN_COLUMNS:
        message = f"--map {written!r} names the unknown kind of file {prefix!r}; write {USAGE}"
        raise UsageError(message)
    kind = cast("FileKind", prefix.strip()) if colon else None
    return ColumnRule(written, kind, rest.strip(), sources)


def _check(rule: ColumnRule, table: Table) -> bool:
    missing = [source for source in rule.sources if source not in table.columns]
    if missing and rule.is_needed():
        there = ", ".join(map(repr, table.columns)) or "none"
        message = (
            f"{table.path} has no column {missing[0]!r}, which --map {rule.written} needs, "
            f"only {there}; name one of these"
        )
        raise DataError(message)
    return not missing


def _joined(rule: ColumnRule, table: Table) -> list[str]:
    if len(rule.sources) == 1:
        return table.columns[rule.sources[0]]
    parts = zip(*(table.columns[source] for source in rule.sources), strict=True)
    return [" ".join(part.strip() for part in row if part.strip()) for row in parts]

"""Changes laid over a base, one after another; each state of it can be served."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool

from service.products.change import Change, ProductRecord
from service.products.ground import Base
from service.products.rows import FIRST_ROOM, FreshProduct, FreshRows
from service.products.served import Counts, LiveProducts, LiveRetriever, Served


class Overlay:
    """The products served now; used by one thread, while states it gave out are used by others.

    Attributes:
        base: what the changes lie over.
        sequence: of the newest change applied.
        pending: changes whose products are not encoded yet, by product id; they are not found.
    """

    def __init__(self, base: Base, *, accept_new: bool, sequence: int = 0) -> None:
        """Begin with the base alone.

        Args:
            base: what the changes lie over.
            accept_new: whether an answer may be accepted with a product that is newer than the
                calibration.
            sequence: of the newest change that the base has in it.
        """
        self.base = base
        self.sequence = sequence
        self.pending: dict[str, Change] = {}
        self._accept_new = accept_new
        self._fresh = FreshRows(base.retriever.dim)
        self._by_key: dict[int, list[int]] = {}
        self._row_of: dict[str, int] = {}
        self._live = _with_room(np.ones(len(base), dtype=bool), FIRST_ROOM)
        self._has_twin = _with_room(base.catalogue.has_twin, FIRST_ROOM)

    def __contains__(self, product_id: str) -> bool:
        return self._live_row(product_id) is not None

    @property
    def fresh_rows(self) -> int:
        """Return how many rows are searched beside the index, dead ones included."""
        return len(self._fresh)

    def record(self, product_id: str) -> ProductRecord | None:
        """Return what a product is now, be it encoded or not; None where there is none."""
        if product_id in self.pending:
            return self.pending[product_id].product
        row = self._live_row(product_id)
        if row is None:
            return None
        fresh = row - len(self.base)
        return self.base.record(row) if fresh < 0 else self._fresh.records[fresh]

    def is_newer(self, product_id: str) -> bool:
        """Return whether a product that is served is newer than the calibration."""
        row = self._live_row(product_id)
        return row is None or row >= len(self.base) or bool(self.base.is_newer[row])

    def fresh_product(self, product_id: str) -> FreshProduct | None:
        """Return a product that is searched beside the index; None where there is none."""
        row = self._row_of.get(product_id)
        return None if row is None else self._fresh.product(row)

    def is_in_base(self, change: Change) -> bool:
        """Return whether the base has the very product that a change puts."""
        row = self.base.rows.get(change.product_id)
        return row is not None and self.base.record(row) == change.product

    def apply(self, change: Change, found: FreshProduct | None) -> None:
        """Make a change.

        Args:
            change: newer than all before.
            found: its product, encoded; None where it deletes one, where the base has it just so,
                or where it is not encoded yet.
        """
        self.sequence = max(self.sequence, change.sequence)
        self._remove(change.product_id)
        if change.product is None:
            return
        if self.is_in_base(change):
            self._bring_back(self.base.rows[change.product_id])
        elif found is None:
            self.pending[change.product_id] = change
        else:
            self._add(found)

    def served(self) -> Served:
        """Return what is served after the changes so far."""
        base, rows = len(self.base), len(self._fresh)
        live = self._live[: base + rows].copy()
        is_newer = np.concatenate([self.base.is_newer, np.ones(rows, dtype=bool)])
        removed = base - int(live[:base].sum())
        counts = Counts(
            products=int(live.sum()),
            fresh=int(live[base:].sum()),
            removed=removed,
            newer=int((live & is_newer).sum()),
            pending=len(self.pending),
        )
        catalogue = LiveProducts(
            self.base,
            self._fresh,
            has_twin=self._has_twin[: base + rows].copy(),
            is_stale=np.zeros_like(is_newer) if self._accept_new else is_newer,
        )
        retriever = LiveRetriever(self.base.retriever, self._fresh.vectors(rows), live)
        return Served(retriever, catalogue, counts, live, is_newer, self.sequence)

    def _live_row(self, product_id: str) -> int | None:
        row = self._row_of.get(product_id)
        if row is not None:
            return len(self.base) + row
        row = self.base.rows.get(product_id)
        return row if row is not None and self._live[row] else None

    def _remove(self, product_id: str) -> None:
        self.pending.pop(product_id, None)
        row = self._live_row(product_id)
        if row is not None:
            self._live[row] = False
            self._row_of.pop(product_id, None)
            self._find_twins(self._key(row))

    def _bring_back(self, row: int) -> None:
        self._live[row] = True
        self._find_twins(self._key(row))

    def _add(self, product: FreshProduct) -> None:
        fresh = self._fresh.add(product)
        row = fresh + len(self.base)
        if row == len(self._live):
            self._live = _with_room(self._live, fresh)
            self._has_twin = _with_room(self._has_twin, fresh)
        self._row_of[product.product_id] = fresh
        self._by_key.setdefault(product.key, []).append(row)
        self._live[row] = True
        self._find_twins(product.key)

    def _key(self, row: int) -> int:
        fresh = row - len(self.base)
        return int(self.base.keyed.keys[row]) if fresh < 0 else self._fresh.keys[fresh]

    def _find_twins(self, key: int) -> None:
        """Say anew which products with these tokens are served beside others of them."""
        rows = [*self.base.keyed.of(key), *self._by_key.get(key, ())]
        living = [row for row in rows if self._live[row]]
        self._has_twin[rows] = False
        self._has_twin[living] = len(living) > 1


def _with_room(flags: Bool[np.ndarray, " row"], room: int) -> Bool[np.ndarray, " longer"]:
    """Return a copy with so many more rows, so that not every further one needs a copy."""
    return np.concatenate([flags, np.zeros(room, dtype=bool)])


def carried_over(
    old: Overlay, base: Base, missing: Iterable[Change], *, since: int, accept_new: bool
) -> Overlay:
    """Return an overlay of another base, with the changes that this base does not have in it.

    Args:
        old: has encoded them, with the very encoder that is used on.
        base: has every change up to ``since`` in it, but for those that were pending.
        missing: what it does not have in it; those that were pending come first.
        since: a sequence.
        accept_new: see `Overlay`.
    """
    new = Overlay(base, accept_new=accept_new, sequence=since)
    for change in missing:
        new.apply(change, old.fresh_product(change.product_id))
    return new

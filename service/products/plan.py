"""What a group of changes comes to before any of it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.products.change import Change, ProductRecord, WantedChange
from service.products.encoding import ProductEncoding
from service.products.outcomes import CHANGES_NOTHING, Outcome, outcome_of
from service.products.overlay import Overlay
from service.products.rows import FreshProduct


@dataclass(frozen=True, slots=True)
class EncodedChange:
    """A change that is to be kept, with its product as it will be found.

    Attributes:
        wanted: what to keep.
        product: the product, encoded; None where there is none.
        encoding: how it was encoded.
    """

    wanted: WantedChange
    product: FreshProduct | None
    encoding: ProductEncoding


class Plan:
    """Changes one after another, each judged by what those before it leave.

    Attributes:
        changes: those that must be kept.
    """

    def __init__(self, overlay: Overlay, kept: Mapping[str, Change]) -> None:
        self.changes: list[EncodedChange] = []
        self._overlay = overlay
        self._kept = kept
        self._now: dict[str, ProductRecord | None] = {}

    def add(self, change: EncodedChange) -> Outcome:
        """Plan one more change; return what it is called."""
        product_id, after = change.wanted.product_id, change.wanted.product
        is_planned = product_id in self._now
        before = self._now[product_id] if is_planned else self._overlay.record(product_id)
        outcome = outcome_of(before, after)
        # one that the bundle has already is kept all the same: another bundle may not have it
        is_kept = is_planned or (
            product_id in self._kept and self._kept[product_id].product == after
        )
        if outcome not in CHANGES_NOTHING or (outcome is Outcome.UNCHANGED and not is_kept):
            self.changes.append(change)
            self._now[product_id] = after
        return outcome

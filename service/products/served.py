"""The products that are served at one moment: a base, and the changes since, as one catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.filters import Mask, Masks, ProductFilter
from service.products.change import ProductRecord
from service.products.ground import Base
from service.products.rows import FreshRows, Joined
from service.retrievers import NOT_FOUND, Retriever
from service.retrievers.exact import filled, must_fit, ranked

FEW_REMOVED = 64
"""So few removed products are left out after the search, which is quicker than to filter it."""


@dataclass(frozen=True)
class Counts:
    """How many products are served, and how far the catalogue is from its bundle.

    Attributes:
        products: that can be recommended.
        fresh: of these, how many are searched beside the index.
        removed: products of the bundle that were replaced or deleted, and are in the index still.
        newer: of the products served, how many are newer than the calibration.
        pending: changed products that wait to be encoded, and are not found meanwhile.
    """

    products: int
    fresh: int = 0
    removed: int = 0
    newer: int = 0
    pending: int = 0

    @property
    def newer_ratio(self) -> float:
        """Return the share of the products served that is newer than the calibration."""
        return self.newer / self.products if self.products else 0.0


@dataclass(frozen=True, eq=False)
class Served:
    """The state of the catalogue after one change; nothing of it ever changes.

    Attributes:
        retriever: finds its products.
        catalogue: what they are.
        counts: how many.
        live: true at the rows that are served.
        is_newer: true at the rows that are newer than the calibration.
        sequence: of the newest change in it.
    """

    retriever: Retriever
    catalogue: "LiveProducts"
    counts: Counts
    live: Bool[np.ndarray, " product"]
    is_newer: Bool[np.ndarray, " product"]
    sequence: int

    @property
    def fresh_records(self) -> Sequence[ProductRecord]:
        """Return what was put since, by row behind those of the base; also what is gone again."""
        return self.catalogue.fresh.records[: self.catalogue.rows]


class LiveProducts:
    """Products by row: those of the base, then the fresh ones; see `ServedProducts`.

    Attributes:
        base: what the changes lie over.
        fresh: the products put since; the first ``rows`` of them belong to this state.
        rows: how many.
    """

    def __init__(
        self,
        base: Base,
        fresh: FreshRows,
        *,
        has_twin: Bool[np.ndarray, " product"],
        is_stale: Bool[np.ndarray, " product"],
    ) -> None:
        self.base = base
        self.fresh = fresh
        self.rows = rows = len(fresh)
        catalogue = base.catalogue
        self.product_ids: Sequence[str] = Joined(catalogue.product_ids, fresh.ids, rows)
        self.titles: Sequence[str] = Joined(catalogue.titles, fresh.titles, rows)
        self.texts: Sequence[str] = Joined(catalogue.texts, fresh.texts, rows)
        self.has_twin = has_twin
        self.is_stale = is_stale
        self.fields = catalogue.fields
        self._masks = Masks()

    def __len__(self) -> int:
        return len(self.base) + self.rows

    def values(self, row: int, fields: Sequence[str]) -> Mapping[str, str | None]:
        """Return the named fields of one product; None where it has no value.

        Raises:
            KeyError: if a name is not in ``fields`` of this catalogue.
        """
        if row < len(self.base):
            return self.base.catalogue.values(row, fields)
        if unknown := set(fields).difference(self.fields):
            message = f"the catalogue has no field {sorted(unknown)}, only {list(self.fields)}"
            raise KeyError(message)
        record = self.fresh.records[row - len(self.base)]
        return {name: record.values.get(name) for name in fields}

    def mask(self, wanted: ProductFilter) -> Mask:
        """Return the rows that a filter admits, served or not."""
        return self._masks.of(wanted, self._made_mask)

    def _made_mask(self, wanted: ProductFilter) -> Mask:
        records = self.fresh.records[: self.rows]
        fresh = np.fromiter((wanted.admits(one.values.get) for one in records), bool, self.rows)
        return np.concatenate([self.base.catalogue.mask(wanted), fresh])


class LiveRetriever:
    """Finds the products of one state: the base's own index, and all fresh ones beside it."""

    def __init__(
        self,
        base: Retriever,
        fresh: Float32[np.ndarray, "fresh dim"],
        live: Bool[np.ndarray, " product"],
    ) -> None:
        self._base = base
        self._fresh = fresh
        self._live = live
        self._removed = base.products - int(live[: base.products].sum())

    @property
    def products(self) -> int:
        """Return how many rows there are, also of products that are not served any more."""
        return len(self._live)

    @property
    def dim(self) -> int:
        """Return the length of an indexed vector."""
        return self._base.dim

    @property
    def family(self) -> str:
        """Return what kind of index the base has."""
        return self._base.family

    def search(
        self,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        *,
        allowed: Bool[np.ndarray, " product"] | None = None,
    ) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
        """Return the best products of each query that are served; see `Retriever.search`."""
        k = min(k, self.products)
        if allowed is not None:
            must_fit(allowed, self.products)
        live = self._live if allowed is None else self._live & allowed
        similarity, rows = self._search_base(queries, k, live, is_filtered=allowed is not None)
        own = np.flatnonzero(live[self._base.products :])
        if len(own):
            found = queries @ self._fresh[own].T
            similarity = np.concatenate([similarity, found], axis=1)
            more = np.broadcast_to(own + self._base.products, found.shape)
            rows = np.concatenate([rows, more], axis=1)
        return filled(*ranked(similarity, rows, k), k)

    def similarities(
        self, queries: Float32[np.ndarray, "query dim"], rows: Int64[np.ndarray, "query rank"]
    ) -> Float32[np.ndarray, "query rank"]:
        """Return the similarity of each query to given products; NaN where the row is -1."""
        fresh = rows - self._base.products
        found = self._base.similarities(queries, np.where(fresh < 0, rows, NOT_FOUND))
        if not len(self._fresh):
            return found
        own = np.matmul(self._fresh[np.maximum(fresh, 0)], queries[:, :, np.newaxis])[:, :, 0]
        return np.where(fresh < 0, found, np.clip(own, -1.0, 1.0))

    def _search_base(
        self,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        live: Bool[np.ndarray, " product"],
        *,
        is_filtered: bool,
    ) -> tuple[Float32[np.ndarray, "query found"], Int64[np.ndarray, "query found"]]:
        """Return the best of the base that may be found; others have row -1."""
        served = live[: self._base.products]
        if not served.any():
            shape = (len(queries), 0)
            return np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int64)
        if is_filtered or self._removed > FEW_REMOVED:
            return self._base.search(queries, k, allowed=served)
        similarity, rows = self._base.search(queries, k + self._removed)
        return similarity, np.where(served[np.maximum(rows, 0)], rows, NOT_FOUND)

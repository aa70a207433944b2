"""Which products a request may get: by category, with all below it, and by attributes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int32

CATEGORY = "category"
LEVELS = " > "
"""What stands between the levels of a category."""
MOST_MASKS = 32
"""So many masks of one catalogue are kept, each a byte a product."""

Mask = Bool[np.ndarray, " product"]


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """Fields that a product must have, each with one of some values.

    A category admits those below it as well: ``Phones`` admits ``Phones > Android``, and not
    ``Phonebooks``. Any other field must be equal, to the letter.

    Attributes:
        terms: names of fields and the values that will do, both sorted.
    """

    terms: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, wanted: Mapping[str, str | Sequence[str]]) -> "ProductFilter":
        """Return the filter that asks for these fields; the order of nothing matters.

        >>> ProductFilter.of({"brand": ["Sony", "LG"], "category": "Phones"}).terms
        (('brand', ('LG', 'Sony')), ('category', ('Phones',)))
        """
        values = {
            name: (value,) if isinstance(value, str) else tuple(sorted(set(value)))
            for name, value in wanted.items()
        }
        return cls(tuple(sorted(values.items())))

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the names of the fields."""
        return tuple(name for name, _ in self.terms)

    def admits(self, value_of: Callable[[str], str | None]) -> bool:
        """Return whether a product with these values is one that was asked for."""
        return all(admits(name, value_of(name), wanted) for name, wanted in self.terms)


def admits(field: str, value: str | None, wanted: Sequence[str]) -> bool:
    """Return whether one of the ``wanted`` values will do for a product with this one.

    >>> admits("category", "Phones > Android", ["Phones"]), admits("brand", None, ["LG"])
    (True, False)
    """
    if value is None:
        return False
    if field != CATEGORY:
        return value in wanted
    return any(value == one or value.startswith(one + LEVELS) for one in wanted)


class Masks:
    """The rows that each filter admits, the filters used last; safe to share between threads."""

    def __init__(self, *, most: int = MOST_MASKS) -> None:
        self._most = most
        self._kept: OrderedDict[ProductFilter, Mask] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, wanted: ProductFilter, make: Callable[[ProductFilter], Mask]) -> Mask:
        """Return the mask of a filter: the very same one while it is kept.

        Args:
            wanted: the filter.
            make: makes its mask. It is not kept: a method of the catalogue that keeps these masks
                would hold the catalogue of a bundle that is gone.
        """
        with self._lock:
            mask = self._kept.get(wanted)
            if mask is None:
                mask = self._kept[wanted] = make(wanted)
                mask.flags.writeable = False
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(wanted)
            return mask


class Codes:
    """One column as the numbers of its distinct values, so that a filter is two look-ups."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        encoded = column.combine_chunks().dictionary_encode()
        self._values: list[str] = encoded.dictionary.to_pylist()
        self._codes: Int32[np.ndarray, " product"] = encoded.indices.fill_null(
            len(self._values)
        ).to_numpy(zero_copy_only=False)

    def mask(self, field: str, wanted: Sequence[str]) -> Mask:
        """Return the rows whose value one of the ``wanted`` ones will do for."""
        will_do = [admits(field, value, wanted) for value in self._values]
        return np.array([*will_do, False])[self._codes]

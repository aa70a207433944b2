"""What counts when answers are compared with labels: depth, filtered pairs, weights."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from service.contract.errors import UsageError
from training.data.folders import DataFolder
from training.data.matches import LabelledQuery
from training.metrics import inverse_propensity

BEST = 10
"""How many products of a query are looked at where nobody asks for more."""

DEEP = 100
"""How many are looked at where recall is reported that far."""


@dataclass(frozen=True)
class Propensity:
    """The two numbers of the propensity model; see `training.metrics.inverse_propensity`."""

    a: float = 0.55
    b: float = 1.5

    @classmethod
    def parse(cls, text: str) -> "Propensity":
        """Return the two numbers that a command line gives as ``A,B``.

        Raises:
            UsageError: if they are not two finite numbers above 0.
        """
        try:
            a, b = map(float, text.split(","))
        except ValueError:
            a = b = math.nan
        if not (0 < a < math.inf and 0 < b < math.inf):
            message = f"--propensity {text} is not two numbers above 0; give for example 0.6,2.6"
            raise UsageError(message)
        return cls(a, b)


@dataclass(frozen=True)
class Search:
    """How far a ranking goes.

    Attributes:
        depth: how many products of a query are looked at.
        passed_over: by query, products that are no answers; empty if there are none at all.
    """

    depth: int = BEST
    passed_over: Sequence[Set[str]] = ()

    def reach(self, products: int) -> int:
        """Return how many of the ``products`` to find so that enough are left for each query."""
        return min(products, self.depth + max(map(len, self.passed_over), default=0))


@dataclass(frozen=True)
class Rules:
    """How answers are judged beside what the labels say.

    Attributes:
        filtered: by query id, products that count as neither right nor wrong for it: they are
            taken out of its ranking and of its positives.
        weights: inverse propensity of every product by id; None where it is not known.
        depth: how many products of a query are looked at, at least `BEST`.
    """

    filtered: Mapping[str, Set[str]] = field(default_factory=dict[str, Set[str]])
    weights: Mapping[str, float] | None = None
    depth: int = BEST

    def search(self, queries: Sequence[LabelledQuery]) -> Search:
        """Return how far the rankings of these queries go."""
        passed_over = [self.filtered.get(query.query_id, frozenset()) for query in queries]
        return Search(self.depth, passed_over if any(passed_over) else ())

    def positives(self, query: LabelledQuery) -> Set[str]:
        """Return the products that count as right for a query."""
        return frozenset(query.positives) - self.filtered.get(query.query_id, frozenset())


def rules_of(data: DataFolder, *, propensity: Propensity | None = None, depth: int = BEST) -> Rules:
    """Return what counts beside the labels of a data folder.

    Propensity-scored precision needs training queries to count; without one it is left out.
    """
    train = data.split("train")
    weights = None
    if train:
        model = propensity or Propensity()
        product_ids = data.products.product_ids()
        asked = Counter(product_id for query in train for product_id in query.positives)
        counts = np.array([asked[product_id] for product_id in product_ids], dtype=np.int64)
        found = inverse_propensity(counts, len(train), a=model.a, b=model.b)
        weights = dict(zip(product_ids, found.tolist(), strict=True))
    return Rules(filtered=data.filtered, weights=weights, depth=depth)

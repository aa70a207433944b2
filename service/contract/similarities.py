"""How similarities are counted: the same buckets for calibration queries and for live ones."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from service.contract.record import Cosine, Count, Record

EDGES = tuple(round(0.05 * step, 2) for step in range(21))
"""Upper edges of the buckets; the first has all below 0, one after the last all above 1."""


class SimilarityHistogram(Record):
    """How many similarities lie in each bucket; none of them is NaN.

    Attributes:
        edges: upper edges of the buckets, which belong to them, rising.
        counts: similarities in each bucket, and in the end those above the last edge.
    """

    edges: Annotated[tuple[Cosine, ...], Field(min_length=1)]
    counts: tuple[Count, ...]

    @classmethod
    def of(cls, similarities: Sequence[float]) -> Self:
        """Count similarities by `EDGES`, each in the bucket that Prometheus would count it in."""
        buckets = np.searchsorted(EDGES, np.asarray(similarities, dtype=np.float64), side="left")
        counts = np.bincount(buckets, minlength=len(EDGES) + 1)
        return cls(edges=EDGES, counts=tuple(counts.tolist()))

    def shares_up_to_edges(self) -> dict[float, float]:
        """Return by edge the share of similarities at or below it; empty where none was counted.

        >>> SimilarityHistogram(edges=(0.5, 1.0), counts=(1, 2, 1)).shares_up_to_edges()
        {0.5: 0.25, 1.0: 0.75}
        """
        total = sum(self.counts)
        if not total:
            return {}
        counted = accumulate(self.counts)
        return {edge: count / total for edge, count in zip(self.edges, counted, strict=False)}

    @model_validator(mode="after")
    def _counts_belong_to_edges_that_rise(self) -> Self:
        rises = all(low < high for low, high in pairwise(self.edges))
        if not rises or len(self.counts) != len(self.edges) + 1:
            message = "need edges that rise, a count for each and one for what lies above them"
            raise ValueError(message)
        return self

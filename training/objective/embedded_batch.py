"""The embeddings of one step, as every objective reads them."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from training.losses.pairs import LEAST_SIMILARITY
from training.losses.prefix import unit_prefix


@dataclass(frozen=True)
class EmbeddedBatch:
    """One step's embeddings with what is known of their pairs.

    Attributes:
        queries: unit embeddings of the queries.
        texts: unit embeddings of the products' texts.
        product_rows: row of each product in the training set.
        is_positive: true at every known positive of the batch.
        is_ignored: true where a pair counts as neither right nor wrong.
        sampled: column of the positive drawn for each query.
    """

    queries: Float[Tensor, "query dim"]
    texts: Float[Tensor, "product dim"]
    product_rows: Int[Tensor, " product"]
    is_positive: Bool[Tensor, "query product"]
    is_ignored: Bool[Tensor, "query product"]
    sampled: Int[Tensor, " query"]

    @property
    def is_negative(self) -> Bool[Tensor, "query product"]:
        """Return true where a pair counts as wrong."""
        return ~self.is_positive & ~self.is_ignored

    def similarity_to(
        self, products: Float[Tensor, "product dim"]
    ) -> Float[Tensor, "query product"]:
        """Return the cosine of each query with each product, -1 where the pair is ignored.

        At -1 a pair is too far away to act in any objective, and it has no gradient.
        """
        return (self.queries @ products.T).masked_fill(self.is_ignored, LEAST_SIMILARITY)

    def without_likely_positives(
        self, similarity: Float[Tensor, "query product"], margin: float
    ) -> "EmbeddedBatch":
        """Return the batch with negatives ignored that beat the drawn positive by ``margin``."""
        with torch.no_grad():
            own = similarity.gather(1, self.sampled[:, None])
            likely = ~self.is_positive & (similarity > own + margin)
        return replace(self, is_ignored=self.is_ignored | likely)

    def prefix(self, dim: int) -> "EmbeddedBatch":
        """Return the batch as an encoder would embed it that keeps the first ``dim`` entries."""
        queries, texts = (unit_prefix(vectors, dim) for vectors in (self.queries, self.texts))
        return replace(self, queries=queries, texts=texts)

    def detached(self) -> "EmbeddedBatch":
        """Return the batch as mere values: no objective on it moves the encoder."""
        return replace(self, queries=self.queries.detach(), texts=self.texts.detach())

"""ALC's query-label term: a small head tells a query's positive from its hardest negatives."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from training.losses.pairs import (
    Judgement,
    PairScaling,
    Scaling,
    candidate_pairs,
    check_hardest,
    choose_candidates,
    pair_head,
    two_way_judgement,
)


class QueryLabelObjective(nn.Module):
    """Two-way cross-entropy of a head over a query's positive and its hardest negatives.

    The head exists in training only; its gradient reaches the encoder through the pairs.

    Args:
        dim: length of the embeddings.
        hardest: negatives of a query; with several, they weigh as much as the one positive.
        hidden: width of the head.
        scaling: what brings the pairs to the size that the head expects.

    Raises:
        ValueError: if ``hardest`` is below 1.

    Source:
        arXiv:2510.04551: that a cross-entropy separates positives from the hardest negatives of
        the batch over the pair representation. Ours: the head, ``hardest``, the balance.
    """

    def __init__(
        self, dim: int, *, hardest: int = 1, hidden: int = 128, scaling: Scaling = "layer_norm"
    ) -> None:
        check_hardest(hardest)
        super().__init__()
        self.hardest = hardest
        self.scale = PairScaling(dim, scaling)
        self.head = pair_head(4 * dim, hidden, 2)

    def judge(
        self,
        query_embeddings: Float[Tensor, "query dim"],
        product_embeddings: Float[Tensor, "product dim"],
        is_positive: Bool[Tensor, "query product"],
        *,
        sampled: Int[Tensor, " query"] | None = None,
        is_negative: Bool[Tensor, "query product"] | None = None,
    ) -> Judgement:
        """Return the loss and the head's own balanced accuracy, of which chance is 0.5.

        A query without a positive, or without a negative, adds zero with a finite gradient.

        Args:
            query_embeddings: unit vectors.
            product_embeddings: unit vectors.
            is_positive: true where the product is a known positive of the query.
            sampled: column of the positive to judge; by default the first known one.
            is_negative: which products may be negatives; by default all but the positives.
        """
        chosen = choose_candidates(
            query_embeddings,
            product_embeddings,
            is_positive,
            hardest=self.hardest,
            sampled=sampled,
            is_negative=is_negative,
        )
        pairs = candidate_pairs(query_embeddings, product_embeddings, chosen.columns)
        return two_way_judgement(self.head(self.scale(pairs)), chosen)

    def forward(
        self,
        query_embeddings: Float[Tensor, "query dim"],
        product_embeddings: Float[Tensor, "product dim"],
        is_positive: Bool[Tensor, "query product"],
        *,
        sampled: Int[Tensor, " query"] | None = None,
        is_negative: Bool[Tensor, "query product"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the loss of ``judge``, in nats; log 2 is a head that has no opinion."""
        return self.judge(
            query_embeddings,
            product_embeddings,
            is_positive,
            sampled=sampled,
            is_negative=is_negative,
        ).loss

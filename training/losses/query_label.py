"""ALC's query-label term: a small head tells a query's positive from its hardest negatives."""

from jaxtyping import Float
from torch import Tensor

from training.losses.pairs import (
    Candidates,
    Judgement,
    PairObjective,
    Scaling,
    pair_head,
    two_way_judgement,
)


class QueryLabelObjective(PairObjective):
    """Two-way cross-entropy of a head over a query's positive and its hardest negatives.

    The accuracy is balanced: chance is 0.5. A head that has no opinion loses log 2.

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
        super().__init__(dim, hardest=hardest, scaling=scaling)
        self.head = pair_head(4 * dim, hidden, 2)

    def judge_pairs(
        self, pairs: Float[Tensor, "query candidate four_dim"], candidates: Candidates
    ) -> Judgement:
        """Return the two-way judgement of each pair by itself."""
        return two_way_judgement(self.head(pairs), candidates)

"""ALC's query-batch term: a query's positive against its hardest negatives, seen together."""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from training.losses.pairs import (
    Candidates,
    Judgement,
    PairObjective,
    Scaling,
    mean_judgement,
    pair_head,
    two_way_judgement,
)

QueryBatchForm = Literal["listwise", "batch_aware", "attention"]


class QueryBatchObjective(PairObjective):
    """Cross-entropy of a head that compares a query's positive with its hardest negatives.

    Forms, all over the candidates of a query, its sampled positive and its hardest negatives:
        ``listwise``: softmax over the candidates of a scalar head of each pair.
        ``batch_aware``: each pair beside its difference from the candidates' mean, two-way.
        ``attention``: the pairs look at each other once, then as ``listwise``.

    The accuracy is balanced, with chance 0.5, for ``batch_aware``; for the others it is the share
    of queries whose positive comes first, and chance is the mean of 1 / candidates.

    Args:
        dim: length of the embeddings.
        form: how a pair sees the other candidates.
        hardest: negatives of a query.
        hidden: width of the head, and of the attention.
        scaling: what brings the pairs to the size that the head expects; before any mean.

    Raises:
        ValueError: if ``hardest`` is below 1.

    Source:
        arXiv:2510.04551: that a second cross-entropy uses batch-aware pair representations.
        Ours: all three forms; ``batch_aware`` is the closest to the paper's words.
    """

    def __init__(
        self,
        dim: int,
        *,
        form: QueryBatchForm = "listwise",
        hardest: int = 8,
        hidden: int = 128,
        scaling: Scaling = "layer_norm",
    ) -> None:
        super().__init__(dim, hardest=hardest, scaling=scaling)
        self.form: QueryBatchForm = form
        self.attend = CandidateAttention(4 * dim, hidden) if form == "attention" else None
        width = {"listwise": 4 * dim, "batch_aware": 8 * dim, "attention": hidden}[form]
        self.head = pair_head(width, hidden, 2 if form == "batch_aware" else 1)

    def judge_pairs(
        self, pairs: Float[Tensor, "query candidate four_dim"], candidates: Candidates
    ) -> Judgement:
        """Return the judgement of the pairs of a query, each seen among the others."""
        if self.form == "batch_aware":
            return two_way_judgement(self.head(beside_mean(pairs, candidates.is_real)), candidates)
        if self.attend is not None:
            pairs = self.attend(pairs, candidates.is_real)
        return _listwise_judgement(self.head(pairs).squeeze(-1), candidates)


class CandidateAttention(nn.Module):
    """One residual self-attention layer over a query's candidates.

    There are no positions, so the place of the positive among them tells nothing, and no
    dropout. The number of heads is the largest of 4, 2, 1 that divides ``hidden``.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, hidden)
        self.attention = nn.MultiheadAttention(hidden, math.gcd(hidden, 4), batch_first=True)

    def forward(
        self,
        pairs: Float[Tensor, "query candidate width"],
        is_real: Bool[Tensor, "query candidate"],
    ) -> Float[Tensor, "query candidate hidden"]:
        """Return each pair, projected, with what it read from the real candidates added."""
        tokens = self.project(pairs)
        read, _ = self.attention(
            tokens, tokens, tokens, key_padding_mask=~is_real, need_weights=False
        )
        return tokens + read


def beside_mean(
    pairs: Float[Tensor, "query candidate width"], is_real: Bool[Tensor, "query candidate"]
) -> Float[Tensor, "query candidate 2*width"]:
    """Return each pair beside its difference from the mean of the query's real candidates."""
    real = is_real[..., None]
    mean = torch.where(real, pairs, 0.0).sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True)
    return torch.cat((pairs, pairs - mean), dim=-1)


def _listwise_judgement(
    scores: Float[Tensor, "query candidate"], candidates: Candidates
) -> Judgement:
    scores = scores.masked_fill(~candidates.is_real, -torch.inf)  # the first is always real
    losses = cross_entropy(scores, torch.zeros_like(candidates.columns[:, 0]), reduction="none")
    is_best = (scores == scores.amax(dim=1, keepdim=True)).to(scores.dtype)
    return mean_judgement(
        losses,
        is_best[:, 0] / is_best.sum(dim=1).clamp(min=1),
        1 / candidates.is_real.sum(dim=1, dtype=scores.dtype),
        counts=candidates.counts,
    )

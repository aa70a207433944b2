"""Pairs of a query and a product: how a head sees them, which it is asked about, how it did."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from training.losses.bounds import require_at_least

LEAST_SIMILARITY = -1.0
"""What a caller writes over the similarity of a pair that is to count as nothing."""

Scaling = Literal["layer_norm", "root_dim", "none"]


@dataclass(frozen=True)
class Judgement:
    """What one head said about one batch.

    Attributes:
        loss: mean over the queries that count, in nats; 0 where none does.
        accuracy: share of the head's choices that are right, in [0, 1]; a tie is shared among
            those that tie, so a head that says the same of everything is at ``chance``. NaN
            where no query counts.
        chance: the accuracy of guessing on the same choices, or NaN.
    """

    loss: Float[Tensor, ""]
    accuracy: float
    chance: float


@dataclass(frozen=True)
class Candidates:
    """The products that a head is asked about, per query; the sampled positive comes first.

    Attributes:
        columns: which products, as columns of the batch.
        is_real: false where a row has fewer negatives than others; the first is always true.
        counts: true for the queries that have a sampled positive and at least one negative.
    """

    columns: Int[Tensor, "query candidate"]
    is_real: Bool[Tensor, "query candidate"]
    counts: Bool[Tensor, " query"]


class PairScaling(nn.Module):
    """Bring pair representations of unit vectors, of about 1/sqrt(dim) an entry, to about 1.

    Without it (``none``) a head stays at chance for long.
    """

    def __init__(self, dim: int, scaling: Scaling) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim) if scaling == "layer_norm" else nn.Identity()
        self.factor = math.sqrt(dim) if scaling == "root_dim" else 1.0

    def forward(self, pairs: Float[Tensor, "*pair four_dim"]) -> Float[Tensor, "*pair four_dim"]:
        """Return the pairs, scaled."""
        return self.norm(pairs) * self.factor


class PairObjective(nn.Module, ABC):
    """A head that judges each query's positive and its hardest negatives, in training only.

    Its gradient reaches the encoder through the pairs.

    Args:
        dim: length of the embeddings.
        hardest: the most negatives a query gets.
        scaling: what brings the pairs to the size that the head expects.

    Raises:
        ValueError: if ``hardest`` is below 1.
    """

    def __init__(self, dim: int, *, hardest: int, scaling: Scaling) -> None:
        require_at_least("hardest", hardest, 1)
        super().__init__()
        self.hardest = hardest
        self.scale = PairScaling(dim, scaling)

    @abstractmethod
    def judge_pairs(
        self, pairs: Float[Tensor, "query candidate four_dim"], candidates: Candidates
    ) -> Judgement:
        """Return the judgement of the scaled pairs of each query with its candidates."""

    def judge(
        self,
        query_embeddings: Float[Tensor, "query dim"],
        product_embeddings: Float[Tensor, "product dim"],
        is_positive: Bool[Tensor, "query product"],
        *,
        sampled: Int[Tensor, " query"] | None = None,
        is_negative: Bool[Tensor, "query product"] | None = None,
    ) -> Judgement:
        """Return the loss and the head's own accuracy.

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
        return self.judge_pairs(self.scale(pairs), chosen)

    def forward(
        self,
        query_embeddings: Float[Tensor, "query dim"],
        product_embeddings: Float[Tensor, "product dim"],
        is_positive: Bool[Tensor, "query product"],
        *,
        sampled: Int[Tensor, " query"] | None = None,
        is_negative: Bool[Tensor, "query product"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the loss of ``judge``, in nats."""
        return self.judge(
            query_embeddings,
            product_embeddings,
            is_positive,
            sampled=sampled,
            is_negative=is_negative,
        ).loss


def pair_head(width: int, hidden: int, outputs: int) -> nn.Sequential:
    """Return the small head that every pair objective uses: linear, GELU, linear."""
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, outputs))


def pair_representation(
    query_embeddings: Float[Tensor, "*#pair dim"], product_embeddings: Float[Tensor, "*#pair dim"]
) -> Float[Tensor, "... 4*dim"]:
    """Return [q ; l ; |q - l| ; q * l] of each pair; leading axes broadcast.

    Source:
        "Fine-grained auxiliary learning for real-world product recommendation",
        arXiv:2510.04551, the pair representation.
    """
    query, product = torch.broadcast_tensors(query_embeddings, product_embeddings)
    return torch.cat((query, product, (query - product).abs(), query * product), dim=-1)


def candidate_pairs(
    query_embeddings: Float[Tensor, "query dim"],
    product_embeddings: Float[Tensor, "product dim"],
    columns: Int[Tensor, "query candidate"],
) -> Float[Tensor, "query candidate 4*dim"]:
    """Return the representation of each query with each of its candidates.

    Products are gathered first: nothing of size query x product x dim is ever made.
    """
    return pair_representation(query_embeddings[:, None], product_embeddings[columns])


def hardest_negatives(
    similarity: Float[Tensor, "query product"],
    is_negative: Bool[Tensor, "query product"],
    hardest: int,
) -> tuple[Int[Tensor, "query hard"], Bool[Tensor, "query hard"]]:
    """Return the columns of each query's most similar negatives, most similar first.

    Returns:
        ``min(hardest, products)`` columns a query, and whether each is a negative: false where
        the query has fewer of them.

    Raises:
        ValueError: if ``hardest`` is below 1.
    """
    require_at_least("hardest", hardest, 1)
    masked = similarity.detach().masked_fill(~is_negative, -torch.inf)
    columns = masked.topk(min(hardest, similarity.shape[1]), dim=1).indices
    return columns, is_negative.gather(1, columns)


@torch.no_grad()
def choose_candidates(
    query_embeddings: Float[Tensor, "query dim"],
    product_embeddings: Float[Tensor, "product dim"],
    is_positive: Bool[Tensor, "query product"],
    *,
    hardest: int,
    sampled: Int[Tensor, " query"] | None,
    is_negative: Bool[Tensor, "query product"] | None,
) -> Candidates:
    """Return the sampled positive of each query and its hardest negatives; no gradient flows.

    Args:
        query_embeddings: unit vectors.
        product_embeddings: unit vectors.
        is_positive: true where the product is a known positive of the query; never a negative.
        hardest: the most negatives a query gets.
        sampled: column of the positive to judge; by default the first known one.
        is_negative: which products may be negatives; by default all that are not positives.
    """
    if sampled is None:
        sampled = is_positive.int().argmax(dim=1)
    may_be = ~is_positive if is_negative is None else is_negative & ~is_positive
    similarity = query_embeddings @ product_embeddings.T
    negatives, is_real = hardest_negatives(similarity, may_be, hardest)
    first = sampled[:, None]
    return Candidates(
        columns=torch.cat((first, negatives), dim=1),
        is_real=torch.cat((torch.ones_like(first, dtype=torch.bool), is_real), dim=1),
        counts=is_positive.gather(1, first).squeeze(1) & is_real.any(dim=1),
    )


def two_way_judgement(
    logits: Float[Tensor, "query candidate 2"], candidates: Candidates
) -> Judgement:
    """Judge every candidate as wrong (0) or right (1), both classes weighing the same.

    A query's positive has half of its weight and its negatives share the other half, however
    many they are: otherwise a head that says "wrong" to everything would do well.
    """
    is_right = torch.zeros_like(candidates.columns)
    is_right[:, 0] = 1
    losses = cross_entropy(logits.flatten(0, 1), is_right.flatten(), reduction="none")
    margin = (logits[..., 1] - logits[..., 0]).detach() * (2 * is_right - 1)
    credit = (margin.sign() + 1) / 2  # 1 right, 0 wrong, a half for no opinion
    weights = _balanced(candidates.is_real.to(logits.dtype))
    return mean_judgement(
        (weights * losses.view_as(weights)).sum(dim=1),
        (weights * credit).sum(dim=1),
        torch.full_like(weights[:, 0], 0.5),
        counts=candidates.counts,
    )


def mean_judgement(
    losses: Float[Tensor, " query"],
    credit: Float[Tensor, " query"],
    chances: Float[Tensor, " query"],
    *,
    counts: Bool[Tensor, " query"],
) -> Judgement:
    """Return the means over the queries that count."""
    asked = counts.sum()
    shares = torch.stack((credit, chances)).detach()
    accuracy, chance = (torch.where(counts, shares, 0.0).sum(dim=1) / asked).tolist()  # 0/0: NaN
    loss = torch.where(counts, losses, 0.0).sum() / asked.clamp(min=1)
    return Judgement(loss=loss, accuracy=accuracy, chance=chance)


def _balanced(is_real: Float[Tensor, "query candidate"]) -> Float[Tensor, "query candidate"]:
    negatives = is_real[:, 1:]
    shared = negatives / (2 * negatives.sum(dim=1, keepdim=True).clamp(min=1))
    return torch.cat((torch.full_like(shared[:, :1], 0.5), shared), dim=1)

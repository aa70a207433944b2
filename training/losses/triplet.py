"""Triplet objectives: every positive must beat the hardest negatives of its query by a margin."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from training.losses.bounds import require_above, require_at_least


@dataclass(frozen=True)
class _Triplets:
    """Each positive pair beside the hardest negatives of its query, never query x product x n."""

    positive: Float[Tensor, "pair 1"]
    negative: Float[Tensor, "pair hardest"]  # minus infinity where the query has fewer
    divisor: Int[Tensor, " pair"]  # a pair's loss over it, summed, is the mean of means


def hardest_negative_triplet(
    similarity: Float[Tensor, "query product"],
    is_positive: Bool[Tensor, "query product"],
    *,
    margin: float = 0.3,
    hardest: int = 10,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Return the mean loss of the positives of each query, then of the queries that have one.

    A positive's loss is the sum of w_n * relu(s_n - s_p + margin) over the hardest negatives,
    with w = softmax(s_n / temperature) over those that violate the margin: the hardest of them
    weigh most, and no gradient flows through the weights. A query without a positive, or
    without a negative, adds zero with a finite gradient.

    Args:
        similarity: cosine similarity of each query with each product, in [-1, 1].
        is_positive: true where the product is a known positive of the query.
        margin: a positive must beat each negative by as much, in cosine similarity, at least 0.
        hardest: how many of a query's most similar negatives count, at least 1.
        temperature: divisor of the similarities in the weights, above 0.

    Returns:
        A number >= 0, in units of cosine similarity.

    Raises:
        ValueError: if ``margin``, ``hardest`` or ``temperature`` is below its bound.

    Source:
        Dahiya et al., "NGAME", WSDM 2023, arXiv:2207.04452, the weighted triplet loss.
    """
    _require_settings(margin, hardest=hardest, temperature=temperature)
    triplets = _triplets(similarity, is_positive, hardest=hardest)
    margins = torch.full_like(triplets.negative, margin)
    return _weighted_loss(triplets, margins, temperature=temperature)


def dynamic_margin_triplet(
    similarity: Float[Tensor, "query product"],
    is_positive: Bool[Tensor, "query product"],
    *,
    least_margin: float = 0.1,
    most_margin: float = 0.3,
    hardest: int = 10,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Return the loss of ``hardest_negative_triplet`` with a margin that follows each pair.

    The margin is |s_p - s_n| kept between its bounds, without gradient: a negative far ahead
    of the positive must fall back further than one that has only just passed it.

    Args:
        similarity: cosine similarity of each query with each product, in [-1, 1].
        is_positive: true where the product is a known positive of the query.
        least_margin: lower bound of the margin, in cosine similarity, at least 0.
        most_margin: upper bound of the margin, at least ``least_margin``.
        hardest: how many of a query's most similar negatives count, at least 1.
        temperature: divisor of the similarities in the weights, above 0.

    Returns:
        A number >= 0, in units of cosine similarity.

    Raises:
        ValueError: if a setting is below its bound, or the margins are the wrong way round.

    Source:
        PRIME, arXiv:2410.20401, the dynamic margin; the weights are those of NGAME.
    """
    if most_margin < least_margin:
        message = f"most_margin {most_margin} must be at least least_margin {least_margin}"
        raise ValueError(message)
    _require_settings(least_margin, hardest=hardest, temperature=temperature)
    triplets = _triplets(similarity, is_positive, hardest=hardest)
    distances = (triplets.positive - triplets.negative).detach().abs()
    margins = distances.clamp(least_margin, most_margin)
    return _weighted_loss(triplets, margins, temperature=temperature)


def _require_settings(margin: float, *, hardest: int, temperature: float) -> None:
    require_at_least("margin", margin, 0)
    require_at_least("hardest", hardest, 1)
    require_above("temperature", temperature, 0)


def _triplets(
    similarity: Float[Tensor, "query product"],
    is_positive: Bool[Tensor, "query product"],
    *,
    hardest: int,
) -> _Triplets:
    """Cut each row down to its hardest negatives first, then repeat them once per positive."""
    negatives = similarity.masked_fill(is_positive, -torch.inf)
    most_similar = negatives.topk(min(hardest, similarity.shape[1]), dim=1).values
    query, product = is_positive.nonzero(as_tuple=True)
    positives = is_positive.sum(dim=1)
    return _Triplets(
        positive=similarity[query, product].unsqueeze(1),
        negative=most_similar[query],
        divisor=positives[query] * (positives > 0).sum(),
    )


def _weighted_loss(
    triplets: _Triplets, margins: Float[Tensor, "pair hardest"], *, temperature: float
) -> Float[Tensor, ""]:
    excess = triplets.negative - triplets.positive + margins
    violates = excess > 0
    # a finite filler: the softmax of a row without a violation stays a number, and counts 0
    logits = (triplets.negative.detach() / temperature).masked_fill(
        ~violates, torch.finfo(excess.dtype).min
    )
    per_pair = (logits.softmax(dim=1) * excess.relu()).sum(dim=1)
    return (per_pair / triplets.divisor).sum()

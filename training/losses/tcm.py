"""Threshold-consistent margin (TCM): one similarity threshold that suits every product."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def threshold_consistent_margin(
    similarity: Float[Tensor, "query product"],
    is_positive: Bool[Tensor, "query product"],
    *,
    positive_margin: float = 0.9,
    negative_margin: float = 0.5,
) -> Float[Tensor, ""]:
    """Penalise only the pairs on the wrong side of their margin.

    Each term is a mean over its offending pairs, so easy pairs in the batch do not dilute
    it. With no offending pair a term is zero, and still differentiable.

    Args:
        similarity: cosine similarity of each query with each product, in [-1, 1].
        is_positive: true where the product is a known positive of the query.
        positive_margin: positives at or below it are pulled up.
        negative_margin: negatives at or above it are pushed down.

    Returns:
        Sum of both terms, unweighted, in units of cosine similarity.

    Raises:
        ValueError: if ``negative_margin`` is not below ``positive_margin``.

    Source:
        Zhang et al., ICLR 2024, arXiv:2307.04047, the TCM equation with both weights 1.
    """
    if negative_margin >= positive_margin:
        message = f"negative_margin {negative_margin} must be below {positive_margin}"
        raise ValueError(message)
    has_positive = is_positive.any(dim=1, keepdim=True)
    has_negative = (~is_positive).any(dim=1, keepdim=True)
    counts = has_positive & has_negative  # other queries add zero
    shortfall = positive_margin - similarity
    excess = similarity - negative_margin
    pull = _mean_over(shortfall, is_positive & counts & (shortfall >= 0))
    push = _mean_over(excess, ~is_positive & counts & (excess >= 0))
    return pull + push


def _mean_over(values: Float[Tensor, "*pair"], mask: Bool[Tensor, "*pair"]) -> Float[Tensor, ""]:
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)

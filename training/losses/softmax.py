"""Decoupled softmax: every positive competes with the negatives only, never with a positive."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import softplus

from training.losses.bounds import require_above


def decoupled_softmax(
    similarity: Float[Tensor, "query product"],
    is_positive: Bool[Tensor, "query product"],
    *,
    temperature: float = 0.05,
) -> Float[Tensor, ""]:
    """Return the mean loss of the positives of each query, then of the queries that have one.

    A query without a positive, or without a negative, adds zero with a finite gradient.

    Args:
        similarity: cosine similarity of each query with each product, in [-1, 1].
        is_positive: true where the product is a known positive of the query.
        temperature: divisor of the similarities, above 0.

    Returns:
        A number >= 0, in nats.

    Raises:
        ValueError: if ``temperature`` is not above 0.

    Source:
        Gupta et al., "Dual-Encoders for Extreme Multi-label Classification",
        arXiv:2310.10636, the decoupled softmax:
        -log[e^{s_p/t} / (e^{s_p/t} + sum over non-positives of e^{s_n/t})].
    """
    require_above("temperature", temperature, 0)
    logits = similarity / temperature
    # softplus(log-sum-exp of negatives - positive) is -log of the share above; a query without
    # negatives gets the lowest finite number, whose softplus is 0 and whose gradient is 0
    lowest = torch.finfo(logits.dtype).min / 2
    negatives = logits.masked_fill(is_positive, lowest).logsumexp(dim=1, keepdim=True)
    per_pair = softplus(negatives - logits)
    positives = is_positive.sum(dim=1)
    per_query = torch.where(is_positive, per_pair, 0.0).sum(dim=1) / positives.clamp(min=1)
    return per_query.sum() / (positives > 0).sum().clamp(min=1)

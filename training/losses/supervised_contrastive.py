"""Supervised contrastive: every positive competes with all products, other positives included."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from training.losses.bounds import require_above


def supervised_contrastive(
    similarity: Float[Tensor, "query product"],
    is_positive: Bool[Tensor, "query product"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Return the mean loss of the positives of each query, then of the queries that have one.

    A query without a positive, or without a negative, adds zero with a finite gradient.

    Args:
        similarity: cosine similarity of each query with each product, in [-1, 1].
        is_positive: true where the product is a known positive of the query.
        temperature: divisor of the similarities, above 0. A pair at -1, the mark of a pair to
            ignore, weighs e^(-1/temperature): next to nothing up to about 0.2.

    Returns:
        A number >= 0, in nats.

    Raises:
        ValueError: if ``temperature`` is not above 0.

    Source:
        Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, arXiv:2004.11362, the
        form with the sum over positives outside the logarithm:
        -(1/|P|) sum over positives of log[e^{s_p/t} / sum over all products of e^{s_a/t}].
    """
    require_above("temperature", temperature, 0)
    per_pair = -(similarity / temperature).log_softmax(dim=1)
    positives = is_positive.sum(dim=1)
    has_negative = (~is_positive).any(dim=1, keepdim=True)
    counted = torch.where(is_positive & has_negative, per_pair, 0.0)
    per_query = counted.sum(dim=1) / positives.clamp(min=1)
    return per_query.sum() / (positives > 0).sum().clamp(min=1)

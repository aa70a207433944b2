"""Prototype regulariser: a product's prototype must tell queries apart better than its text."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from training.losses.bounds import require_at_least
from training.losses.pairs import LEAST_SIMILARITY, hardest_negatives


def prototype_regulariser(
    text_similarity: Float[Tensor, "query product"],
    prototype_similarity: Float[Tensor, "query product"],
    is_positive: Bool[Tensor, "query product"],
    *,
    margin: float = 0.1,
    hardest: int = 10,
) -> Float[Tensor, ""]:
    """Return how far prototypes are from beating the raw text by the margin on both kinds.

    Mean over a query's positives of relu(s_text - s_prototype + margin), plus mean over its
    hardest negatives, by prototype, of relu(s_prototype - s_text + margin); then the mean over
    the queries with a positive. A query without a positive, or without a negative, adds zero
    with a finite gradient. A negative at -1 in either matrix is one to ignore.

    Args:
        text_similarity: cosine similarity of each query with each product's text embedding, in
            [-1, 1]. It gets a gradient as well; detach it to move the prototypes alone.
        prototype_similarity: the same with each product's prototype, in [-1, 1].
        is_positive: true where the product is a known positive of the query.
        margin: how much better a prototype must be, in cosine similarity, at least 0.
        hardest: how many of a query's most similar negatives count, at least 1.

    Returns:
        A number >= 0, in units of cosine similarity.

    Raises:
        ValueError: if ``margin`` is below 0 or ``hardest`` below 1.

    Source:
        PRIME, arXiv:2410.20401, the regulariser L_R, of which we know in words only that it
        asks prototypes to beat raw text by 0.1 on positives and on hard negatives; this form
        is our reconstruction.
    """
    require_at_least("margin", margin, 0)
    may_count = (prototype_similarity > LEAST_SIMILARITY) & (text_similarity > LEAST_SIMILARITY)
    is_negative = ~is_positive & may_count
    chosen, is_real = hardest_negatives(prototype_similarity, is_negative, hardest)
    lead = prototype_similarity - text_similarity
    on_positives = _mean_by_query((margin - lead).relu(), is_positive)
    on_negatives = _mean_by_query((lead.gather(1, chosen) + margin).relu(), is_real)
    has_positive = is_positive.any(dim=1)
    has_both = has_positive & is_negative.any(dim=1)
    per_query = torch.where(has_both, on_positives + on_negatives, 0.0)
    return per_query.sum() / has_positive.sum().clamp(min=1)


def _mean_by_query(
    values: Float[Tensor, "query entry"], mask: Bool[Tensor, "query entry"]
) -> Float[Tensor, " query"]:
    return torch.where(mask, values, 0.0).sum(dim=1) / mask.sum(dim=1).clamp(min=1)

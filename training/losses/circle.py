"""Circle: every similarity is moved at the pace of its own distance from its optimum."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import softplus

from training.losses.bounds import require_above, require_between
from training.losses.pairs import LEAST_SIMILARITY


def circle(
    similarity: Float[Tensor, "query product"],
    is_positive: Bool[Tensor, "query product"],
    *,
    margin: float = 0.4,
    scale: float = 80.0,
) -> Float[Tensor, ""]:
    """Return the mean loss of the queries with a positive and a negative.

    Any other query adds zero with a finite gradient. No gradient flows through the paces
    a_n = relu(s_n + margin) and a_p = relu(1 + margin - s_p). A negative at -1 is one to
    ignore: by the letter of the formula its pace of 0 would still add e^0 to the sum.

    Args:
        similarity: cosine similarity of each query with each product, in [-1, 1].
        is_positive: true where the product is a known positive of the query.
        margin: negatives are pushed below it, positives above 1 - margin; in [0, 1).
        scale: multiplier of the similarities, above 0.

    Returns:
        A number >= 0, in nats.

    Raises:
        ValueError: if ``margin`` is outside [0, 1) or ``scale`` is not above 0.

    Source:
        Sun et al., "Circle Loss", CVPR 2020, arXiv:2002.10857, with O_p = 1 + m, O_n = -m:
        softplus(LSE_n[scale a_n (s_n - m)] + LSE_p[-scale a_p (s_p - 1 + m)]).
    """
    require_between("margin", margin, 0, 1)
    require_above("scale", scale, 0)
    is_negative = ~is_positive & (similarity > LEAST_SIMILARITY)
    negative_pace = (similarity + margin).relu().detach()
    positive_pace = (1 + margin - similarity).relu().detach()
    push = _log_sum(scale * negative_pace * (similarity - margin), is_negative)
    pull = _log_sum(-scale * positive_pace * (similarity - 1 + margin), is_positive)
    has_both = is_positive.any(dim=1) & is_negative.any(dim=1)
    per_query = torch.where(has_both, softplus(push + pull), 0.0)
    return per_query.sum() / has_both.sum().clamp(min=1)


def _log_sum(
    logits: Float[Tensor, "query product"], mask: Bool[Tensor, "query product"]
) -> Float[Tensor, " query"]:
    # finite, so that the gradient of a row without an entry is 0 and not NaN; halved, so that
    # two such sums together stay finite
    lowest = torch.finfo(logits.dtype).min / 2
    return logits.masked_fill(~mask, lowest).logsumexp(dim=1)

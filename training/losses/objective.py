"""The weighted sum that a run minimises, with every term by name for the log."""

from jaxtyping import Bool, Float
from torch import Tensor

from training.config import ObjectiveSection
from training.losses.softmax import decoupled_softmax
from training.losses.tcm import threshold_consistent_margin


def objective_terms(
    similarity: Float[Tensor, "query product"],
    is_positive: Bool[Tensor, "query product"],
    settings: ObjectiveSection,
    *,
    run_ratio: float,
) -> dict[str, Float[Tensor, ""]]:
    """Return each weighted term that acts at this point of the run; their sum is minimised.

    Args:
        similarity: cosine similarity of each query with each product, in [-1, 1].
        is_positive: true where the product is a known positive of the query.
        settings: which terms, with their weights.
        run_ratio: share of the run's steps already taken, in [0, 1].
    """
    terms = {
        settings.base: decoupled_softmax(similarity, is_positive, temperature=settings.temperature)
    }
    tcm = settings.tcm
    if tcm.weight > 0 and run_ratio >= tcm.start_ratio:
        terms["tcm"] = tcm.weight * threshold_consistent_margin(
            similarity,
            is_positive,
            positive_margin=tcm.positive_margin,
            negative_margin=tcm.negative_margin,
        )
    return terms

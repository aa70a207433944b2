"""The four bases: what is minimised on a batch's similarities before anything is added."""

from jaxtyping import Bool, Float
from torch import Tensor

from training.config_objective import ObjectiveSection
from training.losses.prototype_regulariser import prototype_regulariser
from training.losses.softmax import decoupled_softmax
from training.losses.triplet import dynamic_margin_triplet, hardest_negative_triplet
from training.objective.embedded_batch import EmbeddedBatch


def base_terms(
    batch: EmbeddedBatch,
    products: Float[Tensor, "product dim"],
    settings: ObjectiveSection,
) -> dict[str, Float[Tensor, ""]]:
    """Return the weighted terms of the base, by name.

    Args:
        batch: the embeddings of a step.
        products: the vectors that are served: the texts' own, or those a base gave them.
        settings: which base, with its numbers.

    Source:
        DEXML arXiv:2310.10636; NGAME arXiv:2207.04452; DEXA, KDD 2023 (NGAME's loss on shifted
        product vectors); PRIME arXiv:2410.20401. See the losses for what is reconstruction.
    """
    if settings.base == "prime":
        return _prime(batch, products, settings)
    similarity = batch.similarity_to(products)
    if settings.base == "dexml":
        loss = decoupled_softmax(similarity, batch.is_positive, temperature=settings.temperature)
    else:
        triplet = settings.triplet
        loss = hardest_negative_triplet(
            similarity,
            batch.is_positive,
            margin=triplet.margin,
            hardest=triplet.hardest,
            temperature=triplet.temperature,
        )
    return {settings.base: loss}


def _prime(
    batch: EmbeddedBatch, prototypes: Float[Tensor, "product dim"], settings: ObjectiveSection
) -> dict[str, Float[Tensor, ""]]:
    """Return query to text, query to prototype, text to query, and the prototypes' own term.

    Before there are prototypes they equal the texts, and only the text terms act.
    """
    to_text = batch.similarity_to(batch.texts)
    terms = {
        "prime_text": _alternating(to_text, batch.is_positive, settings),
        # a product asks for its queries: the same pairs, the other way round
        "prime_reverse": _alternating(to_text.T, batch.is_positive.T, settings),
    }
    if prototypes is batch.texts:
        return terms
    to_prototype = batch.similarity_to(prototypes)
    terms["prime_prototype"] = _alternating(to_prototype, batch.is_positive, settings)
    terms["prime_regulariser"] = settings.products.regulariser_weight * prototype_regulariser(
        to_text.detach(),  # prototypes are to rise above the texts, not the texts to sink
        to_prototype,
        batch.is_positive,
        margin=settings.products.regulariser_margin,
        hardest=settings.triplet.hardest,
    )
    return terms


def _alternating(
    similarity: Float[Tensor, "row column"],
    is_positive: Bool[Tensor, "row column"],
    settings: ObjectiveSection,
) -> Float[Tensor, ""]:
    triplet = settings.triplet
    return dynamic_margin_triplet(
        similarity,
        is_positive,
        least_margin=triplet.least_margin,
        most_margin=triplet.margin,
        hardest=triplet.hardest,
        temperature=triplet.temperature,
    )

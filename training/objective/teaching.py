"""What a batch's embeddings lack of a teacher's, as a term beside the objective."""

from jaxtyping import Float
from torch import Tensor

from training.config_smaller import DistillationSection
from training.losses.distillation import embedding_distance, similarity_divergence
from training.objective.embedded_batch import EmbeddedBatch


def teaching_term(
    batch: EmbeddedBatch, taught: EmbeddedBatch, settings: DistillationSection
) -> Float[Tensor, ""]:
    """Return the weighted distillation term of a step.

    Args:
        batch: the student's embeddings.
        taught: the teacher's, of the same texts. Pairs that count as neither right nor wrong are
            at -1 on both sides, where they teach nothing.
        settings: form, weight and temperature.
    """
    if settings.form == "embedding":
        queries = embedding_distance(batch.queries, taught.queries)
        # apart from the queries, so that many products in a step do not drown them
        return settings.weight * (queries + embedding_distance(batch.texts, taught.texts)) / 2
    return settings.weight * similarity_divergence(
        batch.similarity_to(batch.texts),
        taught.similarity_to(taught.texts),
        temperature=settings.temperature,
    )

"""Follow a teacher: its embeddings themselves, or what it holds for like."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import kl_div

from training.losses.bounds import require_above


def embedding_distance(
    student: Float[Tensor, "text dim"], teacher: Float[Tensor, "text dim"]
) -> Float[Tensor, ""]:
    """Return the mean squared distance between both embeddings of a text, in [0, 4].

    Args:
        student: unit embeddings that shall move.
        teacher: unit embeddings of the same texts.

    Source:
        Reimers and Gurevych, arXiv:2004.09813, who take the mean over entries as well; the sum
        does not depend on how many there are.
    """
    return (student - teacher).square().sum(dim=1).mean()


def similarity_divergence(
    student: Float[Tensor, "query product"],
    teacher: Float[Tensor, "query product"],
    *,
    temperature: float = 0.05,
) -> Float[Tensor, ""]:
    """Return how far the student's shares of products are from the teacher's, a query's mean.

    A query's shares are the softmax of its similarities. Both sides may have embeddings of
    different length.

    Args:
        student: similarities of each query with each product, in [-1, 1], that shall move.
        teacher: the teacher's of the same pairs.
        temperature: divisor of the similarities on both sides, above 0.

    Returns:
        The Kullback-Leibler divergence KL(teacher || student), in nats, >= 0.

    Raises:
        ValueError: if ``temperature`` is not above 0.

    Source:
        Hinton et al., arXiv:1503.02531, with the batch's products as classes; without its factor
        of the squared temperature, since the base objective divides by a temperature as well.
    """
    require_above("temperature", temperature, 0)
    found = (student / temperature).log_softmax(dim=1)
    wanted = (teacher / temperature).log_softmax(dim=1)
    return kl_div(found, wanted, reduction="batchmean", log_target=True)

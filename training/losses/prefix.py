"""The first entries of embeddings, as embeddings of their own."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from training.losses.bounds import require_between


def unit_prefix(embeddings: Float[Tensor, "text whole"], dim: int) -> Float[Tensor, "text dim"]:
    """Return the first ``dim`` entries of each embedding, brought to length 1.

    A prefix of zeros stays zero. An objective on these, beside that on the whole, makes the prefix
    an embedding that suffices alone.

    Args:
        embeddings: one a text.
        dim: how many entries are kept, from 1 to all.

    Raises:
        ValueError: if there are not that many.

    Source:
        Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022, arXiv:2205.13147.
    """
    require_between("dim", dim, 1, embeddings.shape[1] + 1)
    return normalize(embeddings[:, :dim], dim=1)

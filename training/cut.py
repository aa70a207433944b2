"""A trained encoder cut to the first entries of its embeddings, where it was trained for that."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from service.contract.errors import ConfigError
from training.checkpoint import Checkpoint
from training.encoder import LoadedEncoder, SentenceEncoder
from training.product_vectors import ProductVectors


class CutEncoder(SentenceEncoder):
    """Another encoder's embeddings cut to their first entries, of length 1 again.

    It shares that encoder's weights.
    """

    def __init__(self, whole: SentenceEncoder, dim: int) -> None:
        super().__init__(whole.transformer, whole.pooling)
        self._dim = dim

    @property
    def dim(self) -> int:
        """Return how many entries an embedding has."""
        return self._dim

    def forward(
        self, ids: Int[Tensor, "text token"], mask: Int[Tensor, "text token"]
    ) -> Float[Tensor, "text dim"]:
        """Return one float32 unit vector a text; padding (mask 0) has no part in it."""
        # `unit_prefix` looks at the shape first, which the export would trace
        return normalize(super().forward(ids, mask)[:, : self._dim], dim=1)


def cut_checkpoint(checkpoint: Checkpoint, dim: int | None) -> Checkpoint:
    """Return the checkpoint with embeddings and product vectors of ``dim`` entries.

    Args:
        checkpoint: as it was trained.
        dim: a dim it was trained for; None leaves it whole.

    Raises:
        ConfigError: if it was not trained for that dim.
    """
    whole = checkpoint.encoder
    if dim is None or dim == whole.dim:
        return checkpoint
    trained = (*checkpoint.config.matryoshka.dims, whole.dim)
    if dim not in trained:
        message = (
            f"checkpoint {checkpoint.folder} was trained for embeddings of "
            f"{', '.join(map(str, trained))} entries, not of {dim}; name one of these, or train "
            "with matryoshka.dims"
        )
        raise ConfigError(message)
    encoder = LoadedEncoder(CutEncoder(whole.model, dim), whole.tokenizer, dim)
    vectors = checkpoint.product_vectors
    return replace(
        checkpoint, encoder=encoder, product_vectors=_cut(vectors, dim) if vectors else None
    )


def _cut(vectors: ProductVectors, dim: int) -> ProductVectors:
    short = vectors.vectors[:, :dim]
    length = np.linalg.norm(short, axis=1, keepdims=True)
    return replace(vectors, vectors=short / np.maximum(length, np.finfo(np.float32).tiny))

"""PRIME's product prototypes: one vector of a product's text, its cluster and its queries."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from training.losses.bounds import require_at_least

CLUSTER_LENGTH = 0.1  # of a fresh cluster vector, beside a text embedding of length 1


class LabelPrototypeNetwork(nn.Module):
    """Combine text embedding, free cluster vector and query centroid into a prototype.

    One transformer encoder layer reads the three as tokens, each with a free vector for its
    role; the prototype is the unit vector along the mean of what comes out. The layer's output
    projections and the roles start at zero, so the layer starts as the identity, and a
    prototype starts as the direction of text + centroid + a little noise: between the two.

    There is no dropout: prototypes are stored and served, so those of training and those of
    evaluation must be the same vectors.

    Args:
        dim: length of the embeddings.
        clusters: how many clusters the products are cut into.
        heads: attention heads; by default the largest of 4, 2, 1 that divides ``dim``.
        feedforward: width of the layer's feed-forward part; by default twice ``dim``.

    Raises:
        ValueError: if there is no cluster, or if ``heads`` does not divide ``dim``.

    Source:
        PRIME, arXiv:2410.20401, the label prototype network. Ours: the start, the roles, the
        pre-norm layer, the fallback of a product without training queries to its text.
    """

    def __init__(
        self, dim: int, *, clusters: int, heads: int | None = None, feedforward: int | None = None
    ) -> None:
        heads = math.gcd(dim, 4) if heads is None else heads
        _check(dim, clusters=clusters, heads=heads)
        super().__init__()
        self.cluster_vectors = nn.Embedding(clusters, dim)
        self.roles = nn.Parameter(torch.zeros(3, dim))  # text, cluster, centroid
        self.layer = nn.TransformerEncoderLayer(
            dim,
            heads,
            dim_feedforward=2 * dim if feedforward is None else feedforward,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        nn.init.normal_(self.cluster_vectors.weight, std=CLUSTER_LENGTH / math.sqrt(dim))
        for last in (self.layer.self_attn.out_proj, self.layer.linear2):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(
        self,
        text_embeddings: Float[Tensor, "product dim"],
        clusters: Int[Tensor, " product"],
        centroids: Float[Tensor, "product dim"],
        has_centroid: Bool[Tensor, " product"],
    ) -> Float[Tensor, "product dim"]:
        """Return a unit vector for each product.

        Args:
            text_embeddings: unit vectors of the products' texts.
            clusters: the cluster of each product, from 0.
            centroids: mean embedding of each product's training queries; no gradient flows
                into it, and it is not read where ``has_centroid`` is false.
            has_centroid: false for a product without training queries: its prototype is its
                text embedding, unchanged.
        """
        known = has_centroid[:, None]
        # cleared before use: a NaN behind the mask would still reach the gradients
        centroids = torch.where(known, centroids.detach(), 0.0)
        tokens = torch.stack((text_embeddings, self.cluster_vectors(clusters), centroids), dim=1)
        read = self.layer(tokens + self.roles)
        return torch.where(known, normalize(read.mean(dim=1), dim=1), text_embeddings)


def _check(dim: int, *, clusters: int, heads: int) -> None:
    require_at_least("clusters", clusters, 1)
    if heads < 1 or dim % heads:
        message = f"heads is {heads}, it must divide dim {dim}"
        raise ValueError(message)

"""What stands for a product: its text's embedding, or a vector that training gave it beside."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int64
from torch import Tensor, nn
from torch.nn.functional import normalize

from training.clustering import cluster_of_products
from training.config_objective import ProductSection
from training.losses.prototype_network import LabelPrototypeNetwork


class ProductSide(nn.Module, ABC):
    """Turns embeddings of product texts into the vectors that are served."""

    needs_queries: ClassVar[bool]
    """Whether `refresh` reads embeddings of the training queries."""

    @abstractmethod
    def forward(
        self, texts: Float[Tensor, "product dim"], rows: Int[Tensor, " product"]
    ) -> Float[Tensor, "product dim"]:
        """Return the vectors of the products in these rows of the training set."""

    @abstractmethod
    def refresh(
        self,
        products: Float32[np.ndarray, "product dim"],
        queries: Float32[np.ndarray, "query dim"] | None,
        positives: tuple[tuple[int, ...], ...],
        *,
        seed: int,
    ) -> None:
        """Look again at all products and training queries, as the encoder embeds them now."""

    @abstractmethod
    def has_vector(self) -> Bool[Tensor, " product"]:
        """Return true where a product's vector is not just its text's embedding."""


class SharedVectors(ProductSide):
    """DEXA: clusters of products, and the products most asked for, have a vector that is added.

    A product without a training query has its cluster's vector; one that is new to the catalogue
    is served by its text alone.

    Source:
        DEXA (KDD 2023): norm(E(text) + w_cluster). That clusters number at most half the
        products, and that vectors start at zero, is ours.
    """

    needs_queries = False
    own: Tensor
    cluster: Tensor

    def __init__(
        self, dim: int, queries_of: Int64[np.ndarray, " product"], settings: ProductSection
    ) -> None:
        super().__init__()
        products = len(queries_of)
        self._clusters = _cluster_count(products, settings)
        most_asked = np.argsort(-queries_of, kind="stable")[: min(settings.frequent, products // 2)]
        most_asked = most_asked[queries_of[most_asked] > 0]
        own = np.full(products, self._clusters + len(most_asked), dtype=np.int64)
        own[most_asked] = self._clusters + np.arange(len(most_asked))
        # the last vector belongs to nobody and stays zero
        self.vectors = nn.Embedding(
            self._clusters + len(most_asked) + 1, dim, padding_idx=self._clusters + len(most_asked)
        )
        nn.init.zeros_(self.vectors.weight)
        self.register_buffer("own", torch.from_numpy(own))
        self.register_buffer("cluster", torch.full((products,), -1, dtype=torch.long))

    def forward(
        self, texts: Float[Tensor, "product dim"], rows: Int[Tensor, " product"]
    ) -> Float[Tensor, "product dim"]:
        """Return the shifted vectors; the texts themselves before there are clusters."""
        if not self.has_vector().any():
            return texts
        shift = self.vectors(self.cluster[rows]) + self.vectors(self.own[rows])
        return normalize(texts + shift, dim=1)

    def refresh(
        self,
        products: Float32[np.ndarray, "product dim"],
        queries: Float32[np.ndarray, "query dim"] | None,  # noqa: ARG002  # the protocol's
        positives: tuple[tuple[int, ...], ...],  # noqa: ARG002  # the protocol's
        *,
        seed: int,
    ) -> None:
        """Cut the products into clusters, once: a vector learnt for one cluster fits no other."""
        if not self.has_vector().any():
            found = cluster_of_products(products, clusters=self._clusters, seed=seed)
            self.cluster.copy_(torch.from_numpy(found))

    def has_vector(self) -> Bool[Tensor, " product"]:
        """Return true for all products once there are clusters."""
        return self.cluster >= 0


class Prototypes(ProductSide):
    """PRIME: a small network makes a product's prototype of text, cluster and queries.

    Source:
        PRIME, arXiv:2410.20401. The fallback to the text's embedding for a product without
        training queries is ours.
    """

    needs_queries = True
    cluster: Tensor
    centroid: Tensor
    has_centroid: Tensor

    def __init__(
        self, dim: int, queries_of: Int64[np.ndarray, " product"], settings: ProductSection
    ) -> None:
        super().__init__()
        products = len(queries_of)
        self._clusters = _cluster_count(products, settings)
        self.network = LabelPrototypeNetwork(dim, clusters=self._clusters)
        self.register_buffer("cluster", torch.full((products,), -1, dtype=torch.long))
        self.register_buffer("centroid", torch.zeros(products, dim))
        self.register_buffer("has_centroid", torch.zeros(products, dtype=torch.bool))

    def forward(
        self, texts: Float[Tensor, "product dim"], rows: Int[Tensor, " product"]
    ) -> Float[Tensor, "product dim"]:
        """Return the prototypes; the texts themselves before there are any."""
        if not self.has_centroid.any():
            return texts
        return self.network(texts, self.cluster[rows], self.centroid[rows], self.has_centroid[rows])

    def refresh(
        self,
        products: Float32[np.ndarray, "product dim"],
        queries: Float32[np.ndarray, "query dim"] | None,
        positives: tuple[tuple[int, ...], ...],
        *,
        seed: int,
    ) -> None:
        """Cut the products into clusters, once, and take the centroids of their queries anew."""
        if queries is None:
            message = "prototypes need the embeddings of the training queries"
            raise ValueError(message)
        if not self.has_centroid.any():
            found = cluster_of_products(products, clusters=self._clusters, seed=seed)
            self.cluster.copy_(torch.from_numpy(found))
        sums = torch.zeros_like(self.centroid)
        query_of, product_of = _pairs(positives, device=sums.device)
        for start in range(0, len(query_of), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            vectors = torch.from_numpy(queries[query_of[some].cpu().numpy()]).to(sums.device)
            sums.index_add_(0, product_of[some], vectors)
        self.centroid.copy_(normalize(sums, dim=1))
        self.has_centroid.index_fill_(0, product_of, True)

    def has_vector(self) -> Bool[Tensor, " product"]:
        """Return true for the products that have training queries."""
        return self.has_centroid


_PAIRS_AT_ONCE = 65_536


def _cluster_count(products: int, settings: ProductSection) -> int:
    return max(1, min(settings.clusters, products // 2))


def _pairs(
    positives: tuple[tuple[int, ...], ...], *, device: torch.device
) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """Return query row and product row of each known positive."""
    counts = np.array([len(rows) for rows in positives])
    query_of = np.repeat(np.arange(len(positives)), counts)
    product_of = np.fromiter((row for rows in positives for row in rows), dtype=np.int64)
    return torch.from_numpy(query_of).to(device), torch.from_numpy(product_of).to(device)

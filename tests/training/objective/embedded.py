"""Short ways to make the settings of an objective, and the embeddings of a step."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from training.config import load_config
from training.config_objective import ObjectiveSection
from training.objective.embedded_batch import EmbeddedBatch

BASES = ("dexml", "ngame", "dexa", "prime")


ALONE = ("tcm.weight=0", "tcm.without_gap=stop", "query_label.weight=0", "query_batch.weight=0")


def objective_settings(*overrides: str) -> ObjectiveSection:
    """Return the recommended base alone, with ``key=value`` items of the objective changed."""
    items = [f"objective.{override}" for override in (*ALONE, *overrides)]
    return load_config(overrides=items).objective


def unit_vectors(rows: int, dim: int, *, seed: int = 0) -> Tensor:
    """Return random unit vectors."""
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(rows, dim, generator=generator), dim=1)


def embedded_batch(
    queries: Tensor,
    texts: Tensor,
    positives: list[list[int]],
    ignored: list[list[int]] | None = None,
) -> EmbeddedBatch:
    """Return a batch in which the first positive of each query is the drawn one."""

    def mask(columns_of_queries: list[list[int]]) -> Tensor:
        found = torch.zeros(len(queries), len(texts), dtype=torch.bool)
        for query, columns in enumerate(columns_of_queries):
            found[query, columns] = True
        return found

    return EmbeddedBatch(
        queries=queries,
        texts=texts,
        product_rows=torch.arange(len(texts)),
        is_positive=mask(positives),
        is_ignored=mask(ignored or []),
        sampled=torch.tensor([columns[0] for columns in positives]),
    )


def random_batch(
    positives: list[list[int]],
    *,
    products: int,
    dim: int = 8,
    ignored: list[list[int]] | None = None,
    seed: int = 0,
) -> EmbeddedBatch:
    """Return a batch of random embeddings that take a gradient."""
    return embedded_batch(
        unit_vectors(len(positives), dim, seed=seed).requires_grad_(),
        unit_vectors(products, dim, seed=seed + 1).requires_grad_(),
        positives,
        ignored,
    )


def batch_of_similarity(
    similarity: list[list[float]],
    positives: list[list[int]],
    ignored: list[list[int]] | None = None,
) -> EmbeddedBatch:
    """Return a batch with these similarities, in which the gradient of a text is that of a column.

    The queries are the axes, so a text's entries are its similarities, and what its length lacks
    to 1 lies along one more axis.
    """
    columns = torch.tensor(similarity).T
    rest = (1 - columns.square().sum(dim=1, keepdim=True)).clamp(min=0).sqrt()
    texts = torch.cat((columns, rest), dim=1)
    queries = torch.eye(len(similarity), len(similarity) + 1)
    return embedded_batch(queries, texts.requires_grad_(), positives, ignored)

"""What a run learns from its own embeddings: who shares a batch, mined negatives, prototypes."""

import numpy as np
import torch
from jaxtyping import Float32, Int64

from training.batches import Companions
from training.clustering import balanced_clusters, dealt, neighbourhoods
from training.embedding import embed
from training.mining import mine_hard_negatives
from training.run import Run
from training.schedule import is_due, neighbourhood_size


def prepare_step(run: Run) -> None:
    """Deal the queries of a new epoch, and look again at all embeddings where that is due."""
    batches_due, products_due = _batches_are_due(run), _products_are_due(run)
    if batches_due or products_due:
        _look_again(run, batches_due=batches_due, products_due=products_due)
    at_epoch_start = run.step % run.steps_per_epoch == 0
    if not at_epoch_start and not (batches_due and run.clusters is not None):
        return
    done = 0 if at_epoch_start else run.queries_done_in_epoch
    rows = np.arange(len(run.data.queries)) if at_epoch_start else run.order[done:]
    seed, epoch = run.config.run.seed, run.step // run.steps_per_epoch
    run.order = np.concatenate(
        [run.order[:done], dealt(rows, run.clusters, seed=seed, epoch=epoch)]
    )


def companions(run: Run) -> Companions:
    """Return what the settings put beside a batch's own positives."""
    settings = run.config.batches
    return Companions(
        weights=run.positive_weights,
        mined=run.mined if settings.products == "mined" else None,
        all_products=settings.products == "all",
    )


def _batches_are_due(run: Run) -> bool:
    settings = run.config.batches
    is_used = settings.neighbours > 1 or settings.products == "mined"
    return is_used and is_due(
        run.step,
        run.steps,
        start_ratio=settings.start_ratio,
        every_ratio=settings.refresh_every_ratio,
    )


def _products_are_due(run: Run) -> bool:
    return run.objective.side is not None and is_due(
        run.step,
        run.steps,
        start_ratio=run.config.objective.products.start_ratio,
        every_ratio=run.config.batches.refresh_every_ratio,
    )


def _look_again(run: Run, *, batches_due: bool, products_due: bool) -> None:
    settings, side = run.config.batches, run.objective.side
    reads_queries = batches_due and (
        settings.clusters_of == "queries" or settings.products == "mined"
    )
    reads_queries |= products_due and side is not None and side.needs_queries
    products = _embeddings(run, "products")
    queries = _embeddings(run, "queries") if reads_queries else None
    seed = run.config.run.seed * 1009 + run.step
    if products_due and side is not None:
        side.refresh(products, queries, run.data.positives, seed=seed)
        for buffer in side.buffers():
            run.ranks.agree(buffer)
    if batches_due and settings.neighbours > 1:
        run.clusters = _agreed(run, _clusters(run, products, queries, seed=seed))
    if batches_due and settings.products == "mined" and queries is not None:
        drop = run.config.objective.false_negatives
        mined = mine_hard_negatives(
            queries,
            products,
            run.data.positives,
            depth=settings.mined,
            skip_margin=drop.margin if drop.drop else None,
        )
        run.mined = _agreed(run, mined)


def _agreed(run: Run, rows: Int64[np.ndarray, "*row"]) -> Int64[np.ndarray, "*row"]:
    """Return the main process's rows: the search need not give the same on all of them."""
    device = run.machine.device
    return run.ranks.agree(torch.from_numpy(rows).to(device)).cpu().numpy()


def _clusters(
    run: Run,
    products: Float32[np.ndarray, "product dim"],
    queries: Float32[np.ndarray, "query dim"] | None,
    *,
    seed: int,
) -> Int64[np.ndarray, " query"]:
    size = neighbourhood_size(
        run.step,
        run.steps,
        settings=run.config.batches,
        batch_size=run.config.run.batch_size,
    )
    if run.config.batches.clusters_of == "queries" and queries is not None:
        return balanced_clusters(queries, size=size, seed=seed)
    first = np.array([positives[0] for positives in run.data.positives])
    return neighbourhoods(products[first], size=size, seed=seed)


def _embeddings(run: Run, which: str) -> Float32[np.ndarray, "text dim"]:
    texts = run.data.products if which == "products" else run.data.queries
    what = f"looking again: {which}"
    return embed(run.encoder.model, texts, run.tokeniser, what=what, ranks=run.ranks)

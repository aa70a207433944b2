"""The vectors a run gives to products beside their texts, ready to be stored and served."""

import numpy as np
import torch
from jaxtyping import Float32

from training.data.folders import DataFolder
from training.embedding import embed
from training.product_vectors import ProductVectors, product_vectors
from training.run import Run

_ROWS_AT_ONCE = 65_536


def trained_vectors(run: Run, data: DataFolder) -> ProductVectors | None:
    """Return the vector of each product that has one, None where the base gives none."""
    side = run.objective.side
    if side is None:
        return None
    has_vector = side.has_vector()
    if not has_vector.any():
        return None
    vectors = served_vectors(run, what="product vectors")
    known = np.flatnonzero(has_vector.cpu().numpy()[run.data.row_of_product])
    ids, names = data.products.product_ids(), data.products.texts(run.config.data.product_text)
    return product_vectors(
        vectors,
        [int(row) for row in run.data.row_of_product[known]],
        [ids[row] for row in known.tolist()],
        [names[row] for row in known.tolist()],
    )


@torch.no_grad()
def served_vectors(run: Run, *, what: str) -> Float32[np.ndarray, "product dim"]:
    """Return what stands for each product of the training set: its vector, else its text.

    The text embeddings are those of the encoder as it stands, without dropout; ``what`` names
    their progress bar.
    """
    side, device = run.objective.side, run.machine.device
    texts = embed(run.encoder.model, run.data.products, run.tokeniser, what=what)
    if side is None:
        return texts
    rows = torch.arange(len(texts), device=device)
    parts = [
        side(torch.from_numpy(texts[some.cpu().numpy()]).to(device), some).cpu().numpy()
        for some in rows.split(_ROWS_AT_ONCE)
    ]
    return np.concatenate(parts)

"""Embeddings of many texts with the trainable encoder: batches of like length, any device."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from service.contract.tokens import TextTokeniser, TokenisedText, batches_by_length
from training.console import progress
from training.encoder import SentenceEncoder

MAX_PADDED_TOKENS = 1024
"""Tokens of one pass through the encoder; padding beyond a text's like costs time, not quality."""


def encode(
    model: SentenceEncoder, texts: Sequence[TokenisedText], tokeniser: TextTokeniser
) -> Float[Tensor, "text dim"]:
    """Return one unit embedding a text, in order, with gradients if the model has them.

    Texts pass in batches of like length: the same result as one padded batch, with less work.
    """
    device = next(model.parameters()).device
    batches = batches_by_length(texts, max_padded_tokens=MAX_PADDED_TOKENS)
    parts: list[Tensor] = []
    for rows in batches:
        batch = tokeniser.pad([texts[row] for row in rows])
        ids, mask = torch.from_numpy(batch.ids), torch.from_numpy(batch.mask)
        parts.append(model(ids.to(device), mask.to(device)))
    back = np.argsort(np.concatenate([np.asarray(rows) for rows in batches]))
    return torch.cat(parts)[torch.from_numpy(back).to(device)]


@torch.no_grad()
def embed(
    model: SentenceEncoder,
    texts: Sequence[TokenisedText],
    tokeniser: TextTokeniser,
    *,
    what: str,
) -> Float32[np.ndarray, "text dim"]:
    """Return one unit embedding a text for evaluation, with a progress bar named ``what``."""
    was_training = model.training
    model.eval()
    order = sorted(range(len(texts)), key=lambda row: len(texts[row].ids))
    embeddings: Float32[np.ndarray, "text dim"] | None = None
    with progress(len(texts), what, unit="texts") as shown:
        for start in range(0, len(order), 512):
            rows = order[start : start + 512]
            found = encode(model, [texts[row] for row in rows], tokeniser).cpu().numpy()
            if embeddings is None:
                embeddings = np.empty((len(texts), found.shape[1]), dtype=np.float32)
            embeddings[rows] = found
            shown.advance(len(rows))
    model.train(was_training)
    if embeddings is None:
        message = "there is no text to embed"
        raise ValueError(message)
    return embeddings

"""Embeddings of many texts with the trainable encoder: batches of like length, any device."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from service.contract.errors import CheckpointError
from service.contract.tokens import TextTokeniser, TokenisedText, batches_by_length
from training.console import progress
from training.encoder import SentenceEncoder

_BLOCK = 512

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
    """Return one unit embedding a text for evaluation, with a progress bar named ``what``.

    Texts of one token sequence get the very same vector, so that their similarities tie.

    Raises:
        CheckpointError: if an embedding is not a number.
        ValueError: if there is no text.
    """
    if not texts:
        message = "there is no text to embed"
        raise ValueError(message)
    distinct = sorted({text.ids: text for text in texts}.values(), key=lambda text: len(text.ids))
    row_of = {text.ids: row for row, text in enumerate(distinct)}
    parts: list[Float32[np.ndarray, "text dim"]] = []
    was_training = model.training
    model.eval()
    with progress(len(distinct), what, unit="texts") as shown:
        for start in range(0, len(distinct), _BLOCK):
            block = distinct[start : start + _BLOCK]
            parts.append(encode(model, block, tokeniser).cpu().numpy())
            shown.advance(len(block))
    model.train(was_training)
    vectors = np.concatenate(parts)
    if not np.isfinite(vectors).all():
        message = (
            f"{what}: the encoder gives embeddings that are not numbers; train another one with a "
            "lower optimiser.learning_rate"
        )
        raise CheckpointError(message)
    return vectors[[row_of[text.ids] for text in texts]]

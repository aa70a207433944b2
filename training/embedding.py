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
from training.ranks import Ranks
from training.token_table import TokenTable, distinct

_BLOCK = 512

_PADDED_TOKENS = {"cpu": 1024, "cuda": 32_768}
"""Tokens of one pass through the encoder; padding beyond a text's like costs time, not quality."""


def chunks_of(texts: Sequence[TokenisedText], device: torch.device) -> list[list[int]]:
    """Return rows of ``texts`` in the chunks of like length that pass the encoder together."""
    return batches_by_length(texts, max_padded_tokens=_PADDED_TOKENS[device.type])


def encode(
    model: SentenceEncoder, texts: Sequence[TokenisedText], tokeniser: TextTokeniser
) -> Float[Tensor, "text dim"]:
    """Return one unit embedding a text, in order, with gradients if the model has them.

    Texts pass in chunks of like length: the same result as one padded batch, with less work.
    """
    device = next(model.parameters()).device
    chunks = chunks_of(texts, device)
    parts: list[Tensor] = []
    for rows in chunks:
        batch = tokeniser.pad([texts[row] for row in rows])
        ids, mask = torch.from_numpy(batch.ids), torch.from_numpy(batch.mask)
        parts.append(model(ids.to(device), mask.to(device)))
    back = np.argsort(np.concatenate([np.asarray(rows) for rows in chunks]))
    return torch.cat(parts)[torch.from_numpy(back).to(device)]


@torch.no_grad()
def embed(
    model: SentenceEncoder,
    texts: Sequence[TokenisedText] | TokenTable,
    tokeniser: TextTokeniser,
    *,
    what: str,
    ranks: Ranks | None = None,
) -> Float32[np.ndarray, "text dim"]:
    """Return one unit embedding a text for evaluation, with a progress bar named ``what``.

    Texts of one token sequence get the very same vector, so that their similarities tie.
    Several processes share the work, and each gets all of it.

    Raises:
        CheckpointError: if an embedding is not a number.
        ValueError: if there is no text.
    """
    if not len(texts):
        message = "there is no text to embed"
        raise ValueError(message)
    table = texts if isinstance(texts, TokenTable) else TokenTable.of(texts)
    first_rows, row_of_each = distinct(table)
    by_length = np.argsort(table.lengths[first_rows], kind="stable")
    vectors = np.zeros((len(by_length), model.dim), dtype=np.float32)
    ranks = ranks or Ranks()
    was_training = model.training
    model.eval()
    with progress(len(by_length), what, unit="texts") as shown:
        for number, start in enumerate(range(0, len(by_length), _BLOCK)):
            places = by_length[start : start + _BLOCK]
            if ranks.owns(number):
                block = table.take(first_rows[places])
                vectors[places] = encode(model, block, tokeniser).cpu().numpy()
            shown.advance(len(places))
    model.train(was_training)
    if ranks.world > 1:
        gathered = torch.from_numpy(vectors).to(next(model.parameters()).device)
        ranks.add_up([gathered])
        vectors = gathered.cpu().numpy()
    if not np.isfinite(vectors).all():
        message = (
            f"{what}: the encoder gives embeddings that are not numbers; train another one with a "
            "lower optimiser.learning_rate"
        )
        raise CheckpointError(message)
    return vectors[row_of_each]

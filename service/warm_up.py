"""Warm-up of an encoder: the batch that pays best here, and whether neighbours matter to it."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from service.contract.tokens import TokenisedText
from service.encoder import Encoder
from service.onnx_session import Device
from service.token_budget import speed_of

TEXT_TOKENS = 16
"""Tokens of the texts that are timed; an ordinary offer."""
CANDIDATES = {
    Device.CPU: (16, 32, 64, 128, 192, 256),
    Device.CUDA: (16, 512, 1024, 2048, 4096, 8192, 16384),
}
REPEATS = 5
NEIGHBOUR_TOLERANCE = 1e-5
"""How far an embedding may be from the one its text has alone."""


def warm_up(
    encoder: Encoder,
    *,
    tokens: int | None = None,
    clock: Callable[[], float] | None = None,
) -> None:
    """Set the batch of an encoder that nobody uses yet.

    Args:
        encoder: its budget and its most texts of a run are set.
        tokens: the budget, where it should not be the measured one.
        clock: seconds; on a CPU by default those that the thread ran, so that other work on the
            machine does not count.
    """
    if encoder.max_texts > 1 and _depends_on_neighbours(encoder):
        encoder.max_texts = 1
    own_time = time.thread_time if encoder.device is Device.CPU else time.perf_counter
    measured = _measure(encoder, CANDIDATES[encoder.device], clock or own_time)
    speed = speed_of(measured)
    encoder.budget.set(tokens or speed.budget, speed=speed)


def _measure(
    encoder: Encoder, candidates: Sequence[int], clock: Callable[[], float]
) -> list[tuple[int, float]]:
    """Return (tokens, seconds) of batches; the least of a few tries, since only noise adds."""
    text = _text_of(encoder, min(TEXT_TOKENS, encoder.tokeniser.max_tokens))
    sizes = {min(max(1, tokens // len(text.ids)), encoder.max_texts) for tokens in candidates}
    found: list[tuple[int, float]] = []
    for texts in sorted(sizes):
        batch = [text] * texts
        encoder.encode_together(batch)
        tries: list[float] = []
        for _ in range(REPEATS):
            started = clock()
            encoder.encode_together(batch)
            tries.append(max(clock() - started, 1e-9))
        found.append((texts * len(text.ids), min(tries)))
    return found


def _depends_on_neighbours(encoder: Encoder) -> bool:
    longest = encoder.tokeniser.max_tokens
    texts = [_text_of(encoder, length) for length in sorted({4, 9, min(longest, 40)})]
    together = encoder.encode_together(texts)
    alone = np.concatenate([encoder.encode_together([text]) for text in texts])
    return not bool(np.all(np.abs(together - alone) <= NEIGHBOUR_TOLERANCE))


def _text_of(encoder: Encoder, length: int) -> TokenisedText:
    """Return a text of so many tokens, made of those of a few ordinary words."""
    words = encoder.tokenise(["wireless headphones with charging case 128 gb black"])[0].ids
    ids = (words * (1 + length // len(words)))[:length]
    return TokenisedText(ids=ids, truncated=False, is_blank=False)

"""How much faster one encoder is than another, measured in turns so that noise falls on both."""

import time
from collections.abc import Callable, Sequence
from statistics import median

from service.contract.tokens import TokenisedText
from service.encoder import Encoder

ROUNDS = 3
TEXTS = 32

Stopwatch = Callable[[Encoder, Encoder, Sequence[TokenisedText]], float]
"""Gets fp32, another form and texts; returns fp32's time for a text / the other's."""


def speed_ratio(plain: Encoder, other: Encoder, texts: Sequence[TokenisedText]) -> float:
    """Return the median over texts, each alone, of the time of ``plain`` / that of ``other``.

    What counts is the time that this thread computed, not what it waited for a core.
    """
    chosen = list(texts[:TEXTS])
    for encoder in (plain, other):
        encoder.encode_together(chosen[:1])
    return median(
        _seconds(plain, text) / _seconds(other, text) for _ in range(ROUNDS) for text in chosen
    )


def _seconds(encoder: Encoder, text: TokenisedText) -> float:
    started = time.thread_time()
    encoder.encode_together([text])
    return max(time.thread_time() - started, 1e-9)

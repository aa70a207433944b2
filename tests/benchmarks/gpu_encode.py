"""How fast a device encodes, and how fast it goes from texts to products."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from service.contract.tokens import TokenisedText
from service.encoder import Encoder
from service.retrievers import Retriever
from service.retrievers.in_place import search_where_they_lie

RANKS = 10
_WARM_UP = 2


def runs_a_second(work: Callable[[], object], *, seconds: float) -> float:
    """Return how often ``work`` is done in a second, after a warm-up."""
    for _ in range(_WARM_UP):
        work()
    done, started = 0, time.perf_counter()
    while (took := time.perf_counter() - started) < seconds or not done:
        work()
        done += 1
    return done / took


def encode_rates(
    encoders: Mapping[str, Encoder],
    texts: Sequence[str],
    *,
    batch_sizes: Sequence[int],
    seconds: float,
) -> dict[str, Any]:
    """Return tokens a second of each encoder by texts a batch, padding not counted.

    Beside them stands the largest difference of an embedding's number from the first encoder's.

    Args:
        encoders: by the name that the report gives them; the first is what others are held to.
        texts: at least as many as the largest batch.
        batch_sizes: texts of a run.
        seconds: how long each of them is measured.

    Raises:
        RuntimeError: if an encoder fails on a text.
    """
    first: np.ndarray | None = None
    figures: dict[str, Any] = {}
    for name, encoder in encoders.items():
        tokenised = encoder.tokenise(texts[: max(batch_sizes)])
        embeddings = _encoded(name, encoder, tokenised)
        first = embeddings if first is None else first
        rates = {str(size): _token_rate(encoder, tokenised[:size], seconds) for size in batch_sizes}
        difference = float(np.abs(embeddings - first).max())
        figures[name] = {"tokens_a_second": rates, "largest_difference": difference}
    return figures


def hand_over_rates(
    encoder: Encoder,
    retriever: Retriever,
    texts: Sequence[str],
    *,
    batch_sizes: Sequence[int],
    seconds: float,
) -> dict[str, Any]:
    """Return texts a second from tokens to products, in place and with a copy by the host.

    Args:
        encoder: one that leaves its vectors on the device.
        retriever: one whose index is there.
        texts: at least as many as the largest batch.
        batch_sizes: texts of a run.
        seconds: how long each way and size is measured.

    Raises:
        RuntimeError: if vectors do not stay on the device, or both ways find other products.
    """
    figures: dict[str, Any] = {}
    for size in batch_sizes:
        batch = encoder.tokenise(texts[:size])
        ways = {"in_place": _in_place, "copied": _copied}
        found = [way(encoder, retriever, batch) for way in ways.values()]
        if not np.allclose(found[0], found[1], atol=1e-4):
            message = f"in place and copied find other similarities in batches of {size}"
            raise RuntimeError(message)
        rates = {
            name: _text_rate(way, encoder, retriever, batch, seconds) for name, way in ways.items()
        }
        figures[str(size)] = {f"{name}_texts_a_second": rate for name, rate in rates.items()}
    return figures


def _encoded(name: str, encoder: Encoder, texts: Sequence[TokenisedText]) -> np.ndarray:
    embeddings = encoder.encode_together(texts)
    failed = int(np.isnan(embeddings[:, 0]).sum())
    if failed:
        message = f"{name} fails on {failed} of {len(texts)} texts"
        raise RuntimeError(message)
    return embeddings


def _token_rate(encoder: Encoder, batch: Sequence[TokenisedText], seconds: float) -> float:
    tokens = sum(len(text.ids) for text in batch)
    return round(tokens * runs_a_second(lambda: encoder.encode_together(batch), seconds=seconds))


def _text_rate(
    way: Callable[[Encoder, Retriever, Sequence[TokenisedText]], np.ndarray],
    encoder: Encoder,
    retriever: Retriever,
    batch: Sequence[TokenisedText],
    seconds: float,
) -> float:
    rate = runs_a_second(lambda: way(encoder, retriever, batch), seconds=seconds)
    return round(len(batch) * rate)


def _in_place(encoder: Encoder, retriever: Retriever, batch: Sequence[TokenisedText]) -> np.ndarray:
    made = encoder.encode_in_place(batch)
    if made.on_device is None:
        message = "the encoder left no vectors on the device"
        raise RuntimeError(message)
    return search_where_they_lie(
        retriever, made.vectors, RANKS, allowed=None, there=made.on_device
    )[0]


def _copied(encoder: Encoder, retriever: Retriever, batch: Sequence[TokenisedText]) -> np.ndarray:
    return retriever.search(encoder.encode_together(batch), RANKS)[0]

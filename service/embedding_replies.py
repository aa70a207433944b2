"""From the embeddings of a request to the bytes of its response."""

import base64
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from service.contract.decision import Reason
from service.contract.tokens import TokenisedText
from service.embedding_schemas import (
    EmbedResponse,
    EmbedResult,
    NoEmbedding,
    OpenAiEmbedding,
    OpenAiResponse,
    OpenAiUsage,
)

Embedding = Float32[np.ndarray, " dim"]


def embed_reply(
    texts: Sequence[TokenisedText],
    embeddings: Sequence[Embedding | None],
    *,
    bundle_id: str,
    dim: int,
) -> bytes:
    """Return the response to ``POST /embed``; each float32 is written as the number it is."""
    response = EmbedResponse(
        bundle_id=bundle_id,
        dim=dim,
        results=[
            _result(text, embedding) for text, embedding in zip(texts, embeddings, strict=True)
        ],
    )
    return response.model_dump_json().encode()


def openai_reply(
    texts: Sequence[TokenisedText],
    embeddings: Sequence[Embedding],
    *,
    model: str,
    as_base64: bool,
) -> bytes:
    """Return the response to ``POST /v1/embeddings``, every text of which has its embedding."""
    tokens = sum(len(text.ids) for text in texts)
    response = OpenAiResponse(
        data=[
            OpenAiEmbedding(
                index=index,
                embedding=_base64(embedding) if as_base64 else embedding.tolist(),
                truncated=text.truncated,
            )
            for index, (text, embedding) in enumerate(zip(texts, embeddings, strict=True))
        ],
        model=model,
        usage=OpenAiUsage(prompt_tokens=tokens, total_tokens=tokens),
    )
    return response.model_dump_json().encode()


def why_none(embedding: Embedding | None) -> NoEmbedding | None:
    """Return why a text has no embedding, or None if it has one.

    Args:
        embedding: None of a blank text, NaN of one that the encoder failed on.
    """
    if embedding is None:
        return Reason.EMPTY_TEXT
    return None if np.isfinite(embedding).all() else Reason.ENCODER_FAILED


def _result(text: TokenisedText, embedding: Embedding | None) -> EmbedResult:
    reason = why_none(embedding)
    if embedding is None or reason is not None:
        return EmbedResult(embedding=None, truncated=text.truncated, reason=reason)
    return EmbedResult(embedding=embedding.tolist(), truncated=text.truncated, reason=None)


def _base64(embedding: Embedding) -> str:
    return base64.b64encode(embedding.astype("<f4").tobytes()).decode()

"""``POST /embed`` and ``POST /v1/embeddings``: the vectors themselves, for an index elsewhere.

Embeddings are not cached: whoever has an index of their own asks for a text once, and keeps the
vector. They share the queue and the batches of the service with everything else.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.access.door import Caller
from service.access.keys import Scope
from service.answering import Call
from service.batching.work import Lane
from service.bodies import invalid_request, parse_body
from service.calls import admit, begin_call, note_size, read_in_time, while_wanted
from service.contract.tokens import TokenisedText
from service.embedding_replies import Embedding, embed_reply, openai_reply, why_none
from service.embedding_schemas import (
    EmbeddingLimits,
    EmbedRequest,
    EmbedResponse,
    OpenAiRequest,
    OpenAiResponse,
)
from service.generation import Generation
from service.openapi import ANSWERING_ERRORS, EMBED_BODY, OPENAI_BODY, documented
from service.problems import Code, FieldError, ProblemError
from service.serving import Serving, serving_of

INLINE_NUMBERS = 20_000
"""A reply of more numbers is written in a thread, so that the loop stays free."""
OWN_MODEL_NAME = "surematch"
"""What a client may call the model that does not care which bundle answers."""
DO_NOT_RETRY = {"X-Should-Retry": "false"}
"""Clients of OpenAI ask again after any 500 that does not say this."""

router = APIRouter()


@dataclass(frozen=True)
class _Asking:
    """One request on its way, from the bundle that it met when it came."""

    request: Request
    serving: Serving
    caller: Caller
    generation: Generation
    call: Call

    @classmethod
    def begin(cls, request: Request) -> "_Asking":
        """Return a request that may be read."""
        serving = serving_of(request)
        caller = admit(request, serving, Scope.RECOMMEND)
        generation = serving.opened()
        call = begin_call(request, serving)
        serving.refuse_if_full(Lane.INTERACTIVE, Lane.BULK)
        return cls(request, serving, caller, generation, call)

    @property
    def limits(self) -> EmbeddingLimits:
        """Return what its body may hold."""
        tokeniser = self.generation.bundle.recommender.encoder.tokeniser
        return EmbeddingLimits(self.serving.settings.max_queries, tokeniser)

    @property
    def dim(self) -> int:
        """Return how many numbers an embedding has."""
        return self.generation.bundle.recommender.encoder.dim

    @property
    def bundle_id(self) -> str:
        """Return the name of the bundle that answers."""
        return self.generation.manifest.bundle_id

    async def read(self) -> bytes:
        """Return its body."""
        max_bytes = self.serving.settings.max_body_bytes
        return await read_in_time(self.request, self.call, max_bytes=max_bytes)

    def count(self, texts: int) -> None:
        """Choose its lane, and count its texts against the rate of its caller."""
        note_size(self.request, self.call, self.serving, queries=texts)
        self.serving.refuse_if_full(self.call.lane)
        self.serving.door.spend(self.caller, texts)

    async def tokenise(self, texts: Sequence[str]) -> list[TokenisedText]:
        """Return the tokens of raw texts."""
        answering = self.serving.answering
        return await answering.tokenise(texts, generation=self.generation, call=self.call)

    async def embed(self, texts: Sequence[TokenisedText]) -> list[Embedding | None]:
        """Return the embedding of each text: NaN if the encoder failed on it, None if blank."""
        answering = self.serving.answering
        with while_wanted(self.request, self.call):
            return await answering.embed(texts, generation=self.generation, call=self.call)

    async def respond(self, texts: int, reply: Callable[[], bytes]) -> Response:
        """Return the response that ``reply`` writes, of so many texts with an embedding."""
        self.call.check("encode")
        is_long = texts * self.dim > INLINE_NUMBERS
        content = await asyncio.to_thread(reply) if is_long else reply()
        self.serving.metrics.count_embeddings(texts)
        self.serving.metrics.time_stages(self.call.clock.seconds)
        return Response(content, media_type="application/json")


@router.post(
    "/embed",
    response_model=EmbedResponse,
    openapi_extra=EMBED_BODY,
    responses=documented(*ANSWERING_ERRORS),
)
async def embed(request: Request) -> Response:
    """Embed each text as the queries of /recommend are; one that fails costs only itself.

    The header `X-Request-Deadline-Ms` works as in /recommend.
    """
    asking = _Asking.begin(request)
    asked = parse_body(EmbedRequest, await asking.read(), context=asking.limits)
    asking.count(len(asked.texts))
    texts = await asking.tokenise(asked.texts)
    found = await asking.embed(texts)
    embedded = sum(why_none(embedding) is None for embedding in found)
    reply = partial(embed_reply, texts, found, bundle_id=asking.bundle_id, dim=asking.dim)
    return await asking.respond(embedded, reply)


@router.post(
    "/v1/embeddings",
    response_model=OpenAiResponse,
    openapi_extra=OPENAI_BODY,
    responses=documented(*ANSWERING_ERRORS, Code.MODEL_NOT_FOUND, Code.ENCODER_FAILED),
)
async def openai_embeddings(request: Request) -> Response:
    """Embed texts for a client of OpenAI, whose form has no place for a failure of one of many.

    So a blank text is refused with 422, and a text that the encoder fails on makes the whole answer
    500 `encoder_failed`, which names it. Errors also have the `error` object of OpenAI. The header
    `X-Request-Deadline-Ms` works as in /recommend.
    """
    asking = _Asking.begin(request)
    asked = parse_body(OpenAiRequest, await asking.read(), context=asking.limits)
    _check_names(asked, asking)
    asking.count(len(asked.input))
    texts = await _tokens(asked.input, asking)
    found = await asking.embed(texts)
    reply = partial(
        openai_reply,
        texts,
        _all_of(found),
        model=asking.bundle_id,
        as_base64=asked.encoding_format == "base64",
    )
    return await asking.respond(len(texts), reply)


def _check_names(asked: OpenAiRequest, asking: _Asking) -> None:
    """Refuse another model than the one that answers, and another length of its vectors.

    Raises:
        ProblemError: 404 or 422.
    """
    encoder = asking.generation.manifest.encoder.base
    if asked.model not in (OWN_MODEL_NAME, asking.bundle_id, encoder):
        detail = f"there is no such model here; ask for {OWN_MODEL_NAME}, or for {encoder}"
        raise ProblemError(Code.MODEL_NOT_FOUND, detail)
    if asked.dimensions not in (None, asking.dim):
        what = f"must be {asking.dim}, which is what this model gives, or be left out"
        raise invalid_request([FieldError(where="dimensions", what=what)])


async def _tokens(given: Sequence[str | TokenisedText], asking: _Asking) -> list[TokenisedText]:
    """Return the tokens of every input.

    Raises:
        ProblemError: 422 if one is blank.
    """
    tokenised = iter(await asking.tokenise([text for text in given if isinstance(text, str)]))
    texts = [next(tokenised) if isinstance(text, str) else text for text in given]
    blank = [
        FieldError(where=f"input[{index}]", what="must not be blank")
        for index, text in enumerate(texts)
        if text.is_blank
    ]
    if blank:
        raise invalid_request(blank)
    return texts


def _all_of(found: Sequence[Embedding | None]) -> list[Embedding]:
    """Return the embeddings where none failed.

    Raises:
        ProblemError: 500 if one did; a vector of zeros in its place would be taken for an answer.
    """
    failed = [index for index, one in enumerate(found) if why_none(one) is not None]
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        detail = (
            f"the encoder failed on input[{failed[0]}]{more}; leave it out, "
            "or use /embed, where a text that fails costs only itself"
        )
        raise ProblemError(Code.ENCODER_FAILED, detail, headers=DO_NOT_RETRY)
    return [one for one in found if one is not None]

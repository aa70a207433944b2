"""Bodies of ``POST /embed`` and ``POST /v1/embeddings``: texts in, unit vectors out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from service.contract.decision import Reason
from service.contract.errors import DataError
from service.contract.text import MAX_TEXT_CHARACTERS
from service.contract.tokens import TextTokeniser, TokenisedText
from service.schemas import Text, replace_lone_surrogates

MAX_NAME_CHARACTERS = 256

NoEmbedding = Literal[Reason.EMPTY_TEXT, Reason.ENCODER_FAILED]
"""Why a text has no embedding."""


@dataclass(frozen=True)
class EmbeddingLimits:
    """What the service and its bundle of the moment take; the context that bodies are checked in.

    Attributes:
        texts: most texts of one body.
        tokeniser: knows the token ids.
    """

    texts: int
    tokeniser: TextTokeniser


def _within_limit(value: object, info: ValidationInfo) -> object:
    """Refuse a list that is too long before any of it is looked at."""
    limits: EmbeddingLimits = info.context  # pyright: ignore[reportAssignmentType]  # as documented
    if isinstance(value, list) and len(value) > limits.texts:
        kind, message = "too_many_texts", "holds {found} texts, at most {limit} are allowed"
        raise PydanticCustomError(kind, message, {"found": len(value), "limit": limits.texts})
    return value


def _as_list(value: object) -> object:
    """Return a single text, or the token ids of one, as the only element of a list."""
    is_single = isinstance(value, str) or (isinstance(value, list) and _is_id(value[:1]))
    return [value] if is_single else value


def _is_id(first: Sequence[object]) -> bool:
    return bool(first) and type(first[0]) is int


def _input_of(value: object, info: ValidationInfo) -> str | TokenisedText:
    limits: EmbeddingLimits = info.context  # pyright: ignore[reportAssignmentType]  # as documented
    if isinstance(value, list):
        return _tokens_of(value, limits.tokeniser)
    text = replace_lone_surrogates(value)
    if not isinstance(text, str):
        kind, message = "input", "must be a string or a list of token ids"
        raise PydanticCustomError(kind, message)
    if not 0 < len(text) <= MAX_TEXT_CHARACTERS:
        kind, message = "input_length", "must have 1 to {most} characters"
        raise PydanticCustomError(kind, message, {"most": MAX_TEXT_CHARACTERS})
    return text


def _tokens_of(ids: list[Any], tokeniser: TextTokeniser) -> TokenisedText:
    if not all(type(one) is int for one in ids[: tokeniser.max_tokens + 1]):
        kind, message = "token_ids", "must hold whole numbers only"
        raise PydanticCustomError(kind, message)
    try:
        return tokeniser.of_ids(ids)
    except DataError as error:
        kind, message = "token_ids", "{what}"
        raise PydanticCustomError(kind, message, {"what": str(error)}) from None


_IDS_SCHEMA = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}}
_TEXT_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARACTERS}
_INPUT_SCHEMA: dict[str, Any] = {
    "anyOf": [
        _TEXT_SCHEMA,
        _IDS_SCHEMA,
        {"type": "array", "minItems": 1, "items": {"anyOf": [_TEXT_SCHEMA, _IDS_SCHEMA]}},
    ],
    "title": "Input",
    "description": "a text, or its token ids by the bundle's tokenizer.json, or a list of such; "
    "ids may come with the special tokens around them or, as clients of OpenAI send them, without; "
    "a longer text than the model reads is cut, more ids than it reads are refused, as is a text "
    "that is blank",
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class EmbedRequest(_Body):
    """Texts to be embedded."""

    texts: Annotated[
        list[Text],
        Field(min_length=1, description="answered in this order"),
        BeforeValidator(_within_limit),
    ]


class EmbedResult(_Body):
    """What one text gets."""

    embedding: Annotated[
        Sequence[float] | None,
        Field(description="unit vector of `dim` float32 numbers, written exactly; null if none"),
    ]
    truncated: Annotated[
        bool, Field(description="true where the text was cut at the model's longest input")
    ]
    reason: Annotated[
        NoEmbedding | None,
        Field(description="why there is no embedding; null where there is one"),
    ]


class EmbedResponse(_Body):
    """One result a text, in the order of the texts."""

    bundle_id: Annotated[str, Field(description="name of the bundle whose encoder answered")]
    dim: Annotated[int, Field(description="numbers of an embedding")]
    results: Sequence[EmbedResult]


class OpenAiRequest(_Body):
    """Texts to be embedded, as a client of OpenAI asks for them."""

    input: Annotated[
        list[Annotated[str | TokenisedText, PlainValidator(_input_of)]],
        Field(min_length=1),
        BeforeValidator(_within_limit),
        BeforeValidator(_as_list),
        WithJsonSchema(_INPUT_SCHEMA),
    ]
    model: Annotated[
        str,
        Field(
            max_length=MAX_NAME_CHARACTERS,
            description="`surematch`, the id of the bundle, or the name of its encoder; see /info",
        ),
        BeforeValidator(replace_lone_surrogates),
    ]
    encoding_format: Annotated[
        Literal["float", "base64"] | None,
        Field(description="base64 is that of the numbers as little-endian float32"),
    ] = None
    dimensions: Annotated[
        int | None, Field(ge=1, description="must be the numbers that an embedding has anyhow")
    ] = None
    user: Annotated[
        str | None,
        Field(max_length=MAX_NAME_CHARACTERS, description="not looked at"),
        BeforeValidator(replace_lone_surrogates),
    ] = None


class OpenAiEmbedding(_Body):
    """The embedding of one input."""

    object: Literal["embedding"] = "embedding"
    index: Annotated[int, Field(description="which input it is of, from 0")]
    embedding: Annotated[
        Sequence[float] | str, Field(description="a unit vector, in the format asked for")
    ]
    truncated: Annotated[
        bool,
        Field(
            exclude_if=lambda truncated: not truncated,
            description="true where the text was cut at the model's longest input, else left out",
        ),
    ] = False


class OpenAiUsage(_Body):
    """Tokens that the encoder read, special ones included."""

    prompt_tokens: int
    total_tokens: int


class OpenAiResponse(_Body):
    """One embedding an input, in the order of the inputs."""

    object: Literal["list"] = "list"
    data: Sequence[OpenAiEmbedding]
    model: Annotated[str, Field(description="id of the bundle whose encoder answered")]
    usage: OpenAiUsage

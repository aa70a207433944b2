"""Tokens of normalised text, by the tokenizer file that travels with the encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from tokenizers import Tokenizer

from service.contract.errors import DataError
from service.contract.text import normalise


@dataclass(frozen=True, slots=True)
class TokenisedText:
    """One text as the encoder reads it.

    Attributes:
        ids: token ids with the model's special tokens, cut at its limit.
        truncated: true if tokens were cut off at the end.
        is_blank: true if nothing of the text was left for the encoder to read.
    """

    ids: tuple[int, ...]
    truncated: bool
    is_blank: bool


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Texts of one batch, padded on the right to the longest of them."""

    ids: Int64[np.ndarray, "text token"]
    mask: Int64[np.ndarray, "text token"]


class TextTokeniser:
    """Turns raw texts into token ids; normalisation and truncation are part of it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        truncation, padding = tokenizer.truncation, tokenizer.padding
        if truncation is None or padding is None:
            message = "tokenizer.json sets no truncation or no padding; build the bundle again"
            raise DataError(message)
        self.max_tokens = int(truncation["max_length"])
        self.pad_id = int(padding["pad_id"])
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_padding()  # batches are padded by `pad`, the same for every caller
        self._tokenizer.enable_truncation(self.max_tokens)  # at the end, whatever the file says
        self._special_tokens = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if self.max_tokens <= self._special_tokens:
            message = (
                f"tokenizer.json cuts texts at {self.max_tokens} tokens, of which "
                f"{self._special_tokens} are special ones; build the bundle again"
            )
            raise DataError(message)
        self.vocabulary_size = int(self._tokenizer.get_vocab_size())
        self._frame = _frame_of(self._tokenizer)

    @classmethod
    def from_file(cls, path: Path) -> "TextTokeniser":
        """Load ``tokenizer.json``.

        Raises:
            DataError: if the file is not a tokenizer, or sets no truncation or padding.
        """
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises plain Exception for every bad file
            message = f"{path} is not a tokenizer file ({error}); build it again"
            raise DataError(message) from error
        return cls(tokenizer)

    def __call__(self, texts: Sequence[str]) -> list[TokenisedText]:
        """Return the tokens of each text, in order; any text is allowed, blank ones too."""
        return self.of_normalised([normalise(text) for text in texts])

    def of_normalised(self, texts: Sequence[str]) -> list[TokenisedText]:
        """Return the tokens of texts that `normalise` gave."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return [
            TokenisedText(
                ids=tuple(encoding.ids),
                truncated=bool(encoding.overflowing),
                is_blank=len(encoding.ids) <= self._special_tokens,
            )
            for encoding in encodings
        ]

    def of_ids(self, ids: Sequence[int]) -> TokenisedText:
        """Return a text whose tokens a caller has from this very tokenizer.

        Special tokens are put around them, unless they are there already, before and after.

        Raises:
            DataError: if there is no id, one that the vocabulary lacks, or more than are read.
        """
        whole = self._framed(tuple(ids))
        own, most = len(whole) - self._special_tokens, self.max_tokens - self._special_tokens
        if not 1 <= own <= most:
            message = f"holds {own} ids besides the special ones, it must hold 1 to {most}"
            raise DataError(message)
        if not all(0 <= one < self.vocabulary_size for one in ids):
            message = (
                f"holds an id outside the vocabulary, whose ids are 0 to {self.vocabulary_size - 1}"
            )
            raise DataError(message)
        return TokenisedText(ids=whole, truncated=False, is_blank=False)

    def pad(self, texts: Sequence[TokenisedText]) -> TokenBatch:
        """Return the texts as two rectangles of ids and mask (1 = token, 0 = padding)."""
        width = max(len(text.ids) for text in texts)
        ids = np.full((len(texts), width), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(texts), width), dtype=np.int64)
        for row, text in enumerate(texts):
            ids[row, : len(text.ids)] = text.ids
            mask[row, : len(text.ids)] = 1
        return TokenBatch(ids=ids, mask=mask)

    def _framed(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        before, after = self._frame
        inner = len(ids) - len(after)
        has_frame = len(before) <= inner and ids[: len(before)] == before and ids[inner:] == after
        return ids if has_frame else (*before, *ids, *after)


def _frame_of(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the special tokens before and after those of every text."""
    marks = tokenizer.encode("a").special_tokens_mask
    leading = next((place for place, mark in enumerate(marks) if not mark), len(marks))
    special = tuple(tokenizer.encode("").ids)
    return special[:leading], special[leading:]


def batches_by_length(texts: Sequence[TokenisedText], *, max_padded_tokens: int) -> list[list[int]]:
    """Return rows of ``texts`` in batches of similar length, every row in exactly one batch.

    Args:
        texts: what is to be encoded.
        max_padded_tokens: bound on rows x longest row of a batch; a single longer text still
            gets a batch of its own.
    """
    rows = sorted(range(len(texts)), key=lambda row: len(texts[row].ids))
    batches: list[list[int]] = []
    for row in rows:
        width = len(texts[row].ids)
        if batches and width * (len(batches[-1]) + 1) <= max_padded_tokens:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches

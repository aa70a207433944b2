"""Answers of texts that repeat, kept within a bound of bytes; least recently used ones go first."""

import asyncio
import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from service.contract.decision import Reason
from service.filters import ProductFilter
from service.recommender import Answer, Recommendation

Given = tuple[str | None, str | None]
"""Identifiers that came with a text: GTIN and MPN, None where there is none."""
NOTHING_GIVEN: Given = (None, None)
DROPPED_AT_ONCE = 500
"""Entries let go of before the event loop gets its turn: about a millisecond."""


@dataclass(frozen=True, slots=True)
class CacheKey:
    """Everything of a query that changes its answer.

    Attributes of products that a request asks for are no part of an answer: they are looked up
    for each response.

    Attributes:
        bundle_id: the bundle that answers.
        generation: which opening of it.
        text: the query in its normal form.
        k: most products of the answer.
        target_precision: the promise it is decided under; None for the bundle's own.
        wanted: the products that it may get; None for all.
        given: the identifiers that came with the text.
    """

    bundle_id: str
    generation: int
    text: str
    k: int
    target_precision: float | None
    wanted: ProductFilter | None = None
    given: Given = NOTHING_GIVEN


class CacheObserver(Protocol):
    """What is told of the cache.

    Whether a text that was not found is worked out or shares the work of another request, only
    those who do that know.
    """

    def cache_hit(self) -> None:
        """Note a text whose answer was found."""
        ...

    def cache_holds(self, *, entries: int, size: int) -> None:
        """Note how many answers are kept from now on, and their bytes."""
        ...

    def cache_evicted(self, entries: int) -> None:
        """Note answers that had to go to make room."""
        ...


class AnswerCache:
    """Answers by key, in at most ``max_bytes``; to be used on the event loop alone, so unlocked.

    Product ids and titles belong to the catalogue of an answer's bundle, which is in memory
    anyhow: an answer is charged for its references to them. Once the bundle is gone that is no
    longer true: see `keep_only`.
    """

    def __init__(self, max_bytes: int, *, observer: CacheObserver | None = None) -> None:
        """Make an empty cache.

        Args:
            max_bytes: bound on `size`; 0 keeps nothing.
            observer: is told what happens.
        """
        self._max_bytes = max_bytes
        self._observer: CacheObserver = observer or _NoObserver()
        self._entries: OrderedDict[CacheKey, tuple[Answer, int]] = OrderedDict()
        self._size = 0

    @property
    def is_on(self) -> bool:
        """Return whether anything can be kept."""
        return self._max_bytes > 0

    @property
    def size(self) -> int:
        """Return the bytes of all entries, as `size_of_entry` estimates them."""
        return self._size

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: CacheKey) -> Answer | None:
        """Return the answer of a key, from now on the most recently used; None if unknown."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        self._observer.cache_hit()
        return entry[0]

    def put(self, key: CacheKey, answer: Answer) -> None:
        """Keep an answer, unless it alone is over the bound or the encoder failed on its text.

        A failure may pass; it must not be what everybody gets from now on.
        """
        size = size_of_entry(key, answer)
        if answer.reason is Reason.ENCODER_FAILED or size > self._max_bytes:
            return
        self._drop(key)
        evicted = 0
        while self._size + size > self._max_bytes:
            self._drop(next(iter(self._entries)))
            evicted += 1
        self._entries[key] = (answer, size)
        self._size += size
        self._report(evicted)

    async def keep_only(self, bundle_id: str, generation: int) -> None:
        """Let go of the answers of every other bundle and generation, a few at a time.

        No request would find them, but they keep products of a closed catalogue in memory.
        """
        stale = [
            key
            for key in self._entries
            if key.generation != generation or key.bundle_id != bundle_id
        ]
        for start in range(0, len(stale), DROPPED_AT_ONCE):
            for key in stale[start : start + DROPPED_AT_ONCE]:
                self._drop(key)
            self._report(0)
            await asyncio.sleep(0)

    def _drop(self, key: CacheKey) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry[1]  # as charged: a string grows once its UTF-8 form is asked for

    def _report(self, evicted: int) -> None:
        if evicted:
            self._observer.cache_evicted(evicted)
        self._observer.cache_holds(entries=len(self._entries), size=self._size)


class _NoObserver:
    def cache_hit(self) -> None:
        pass

    def cache_holds(self, *, entries: int, size: int) -> None:
        pass

    def cache_evicted(self, entries: int) -> None:
        pass


def size_of_entry(key: CacheKey, answer: Answer) -> int:
    """Return an estimate of the bytes that an entry takes, strings of the catalogue left out."""
    own = _allocated(key.text) + _allocated(answer.recommendations)
    if key.wanted is not None:  # queries of one request share it; each is charged all the same
        own += sum(_allocated(values, *values) for _, values in key.wanted.terms)
    own += _allocated(*(one for one in key.given if one is not None))
    return own + _ENTRY_BYTES + _RECOMMENDATION_BYTES * len(answer.recommendations)


def _allocated(*things: object) -> int:
    """Return the bytes of objects; memory is dealt out in multiples of 16."""
    return sum(sys.getsizeof(thing) + 15 & ~15 for thing in things)


_TABLE_BYTES = 96
"""An entry's share of an ordered dictionary that is partly empty, as measured: 80 to 150."""
_INTEGER = 1 << 20
_ANSWER = Answer(Reason.EMPTY_TEXT, truncated=False, recommendations=())
_ENTRY_BYTES = _TABLE_BYTES + _allocated(
    CacheKey("", 0, "", 0, None), _ANSWER, (_ANSWER, _INTEGER), _INTEGER
)
_RECOMMENDATION_BYTES = _allocated(Recommendation("", "", 0.5, 0), 0.5, _INTEGER)

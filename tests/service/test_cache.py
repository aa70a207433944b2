import asyncio
import dataclasses
import gc
import itertools
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from service.cache import DROPPED_AT_ONCE, AnswerCache, CacheKey, size_of_entry
from service.contract.decision import Reason
from service.recommender import Answer, Recommendation

BUNDLES = [("b-1", 1), ("b-1", 2), ("b-2", 2)]
BOUND = 4000

KEY = CacheKey(bundle_id="b-1", generation=1, text="sony", k=5, target_precision=0.95)


class Seen:
    """Remembers what the cache told."""

    def __init__(self) -> None:
        self.hits = 0
        self.evicted = 0
        self.holds = (0, 0)

    def cache_hit(self) -> None:
        self.hits += 1

    def cache_holds(self, *, entries: int, size: int) -> None:
        self.holds = (entries, size)

    def cache_evicted(self, entries: int) -> None:
        self.evicted += entries


def answer(products: int = 1, reason: Reason = Reason.BELOW_THRESHOLD) -> Answer:
    found = [Recommendation(f"p-{row}", f"title {row}", 0.5, row) for row in range(products)]
    return Answer(reason, truncated=False, recommendations=tuple(found))


def keys(count: int) -> list[CacheKey]:
    return [dataclasses.replace(KEY, text=f"text {row}") for row in range(count)]


def room_for(entries: int, products: int = 1) -> int:
    return entries * size_of_entry(KEY, answer(products))


def test_what_was_put_is_found_until_the_bound_is_met() -> None:
    cache = AnswerCache(10_000)
    mine = answer()

    cache.put(KEY, mine)

    assert cache.get(KEY) is mine
    assert len(cache) == 1
    assert cache.size == size_of_entry(KEY, mine)


@pytest.mark.parametrize(
    "other",
    [
        {"bundle_id": "b-2"},
        {"generation": 2},
        {"text": "sony "},
        {"k": 6},
        {"target_precision": 0.9},
        {"target_precision": None},
    ],
)
def test_an_answer_is_found_by_the_very_same_question_alone(other: dict[str, object]) -> None:
    cache = AnswerCache(10_000)
    cache.put(KEY, answer())

    assert cache.get(dataclasses.replace(KEY, **other)) is None  # pyright: ignore[reportArgumentType]  # any field


def test_the_least_recently_used_answer_goes_first() -> None:
    cache = AnswerCache(room_for(3))
    first, second, third, fourth = keys(4)
    for key in (first, second, third):
        cache.put(key, answer())
    cache.get(first)

    cache.put(fourth, answer())

    assert [cache.get(key) is not None for key in (first, second, third, fourth)] == [
        True,
        False,
        True,
        True,
    ]


def test_a_large_answer_drives_out_as_many_small_ones_as_it_needs() -> None:
    seen = Seen()
    cache = AnswerCache(room_for(10), observer=seen)
    small = keys(10)
    for key in small:
        cache.put(key, answer())
    need = size_of_entry(KEY, answer(20))

    cache.put(KEY, answer(20))

    gone = -(-need // room_for(1))
    assert seen.evicted == gone
    assert [cache.get(key) is None for key in small] == [row < gone for row in range(10)]


def test_an_answer_that_fits_exactly_is_kept_and_one_byte_less_keeps_none() -> None:
    exact, short = AnswerCache(room_for(1)), AnswerCache(room_for(1) - 1)

    exact.put(KEY, answer())
    short.put(KEY, answer())

    assert exact.get(KEY) is not None
    assert short.get(KEY) is None


def test_an_answer_over_the_bound_drives_nothing_out() -> None:
    cache = AnswerCache(room_for(2))
    cache.put(KEY, answer())

    cache.put(keys(1)[0], answer(100))

    assert cache.get(KEY) is not None
    assert len(cache) == 1


def test_without_bytes_nothing_is_kept() -> None:
    cache = AnswerCache(0)

    cache.put(KEY, answer(0))

    assert not cache.is_on
    assert AnswerCache(1).is_on
    assert cache.get(KEY) is None
    assert cache.size == 0


@pytest.mark.parametrize("reason", list(Reason))
def test_every_answer_is_kept_but_one_of_a_failed_encoder(reason: Reason) -> None:
    cache = AnswerCache(10_000)

    cache.put(KEY, answer(0, reason))

    assert (cache.get(KEY) is None) == (reason is Reason.ENCODER_FAILED)


def test_a_failure_of_the_encoder_does_not_replace_an_answer() -> None:
    cache = AnswerCache(10_000)
    mine = answer()
    cache.put(KEY, mine)

    cache.put(KEY, answer(0, Reason.ENCODER_FAILED))

    assert cache.get(KEY) is mine


def test_a_swap_lets_go_of_all_other_bundles_and_generations() -> None:
    cache = AnswerCache(10_000)
    all_of_them = [
        dataclasses.replace(KEY, bundle_id=bundle_id, generation=generation)
        for bundle_id, generation in BUNDLES
    ]
    for key in all_of_them:
        cache.put(key, answer())

    asyncio.run(cache.keep_only("b-1", 2))

    assert [cache.get(key) is not None for key in all_of_them] == [False, True, False]
    assert cache.size == room_for(1)


def test_the_event_loop_has_its_turns_while_a_large_cache_is_emptied() -> None:
    seen = Seen()
    cache = AnswerCache(10**9, observer=seen)
    for key in keys(3 * DROPPED_AT_ONCE):
        cache.put(key, answer(0))
    lengths: list[int] = []

    async def empty_and_look() -> None:
        emptying = asyncio.create_task(cache.keep_only("b-2", 2))
        while not emptying.done():
            lengths.append(len(cache))
            cache.put(CacheKey("b-2", 2, f"late {len(lengths)}", 5, None), answer(0))
            await asyncio.sleep(0)

    asyncio.run(empty_and_look())

    assert len(lengths) >= 4
    drops = [before - after for before, after in itertools.pairwise(lengths)]
    assert max(drops) <= DROPPED_AT_ONCE
    assert seen.holds == (len(cache), cache.size)
    assert len(cache) == len(lengths)  # what came in meanwhile stays


def put_many(cache: AnswerCache, texts: Sequence[str], products: int) -> None:
    """Fill a cache as the service does: new texts and numbers, products of one catalogue."""
    ids, titles = ["p-1"], ["title"]
    for row, text in enumerate(texts):
        own = "".join([text, str(row)])
        found = (
            Recommendation(ids[0], titles[0], float(f"0.{row + 1}{rank}"), 1000 + row + rank)
            for rank in range(products)
        )
        kept = Answer(Reason.BELOW_THRESHOLD, truncated=False, recommendations=tuple(found))
        cache.put(dataclasses.replace(KEY, text=own, k=products or 1), kept)


@pytest.mark.parametrize("products", [0, 1, 5, 20])
@pytest.mark.parametrize("text", ["short ", "long " * 100, "電話 " * 20])
def test_the_size_is_at_least_nine_tenths_and_at_most_half_as_much_again_as_the_memory_taken(
    products: int, text: str
) -> None:
    cache = AnswerCache(10**9)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()

    put_many(cache, [text] * 300, products)

    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert 0.9 * taken <= cache.size <= 1.5 * taken


class CacheMachine(RuleBasedStateMachine):
    """The cache beside a list of all it should hold, oldest use first."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()
        self.cache = AnswerCache(BOUND, observer=self.seen)
        self.model: list[tuple[CacheKey, Answer]] = []
        self.hits = 0
        self.evicted = 0

    some_keys = st.builds(
        lambda bundle, text, k: CacheKey(*bundle, text=text, k=k, target_precision=None),
        st.sampled_from(BUNDLES),
        st.sampled_from(["a", "b", "é", "x" * 900, "y" * 5000]),
        st.sampled_from([1, 2]),
    )
    some_answers = st.builds(answer, st.integers(0, 12), st.sampled_from(list(Reason)))

    @rule(key=some_keys, new=some_answers)
    def put(self, key: CacheKey, new: Answer) -> None:
        self.cache.put(key, new)

        if new.reason is Reason.ENCODER_FAILED or size_of_entry(key, new) > BOUND:
            return
        self.model = [entry for entry in self.model if entry[0] != key] + [(key, new)]
        while self.size() > BOUND:
            self.model.pop(0)
            self.evicted += 1

    @rule(key=some_keys)
    def get(self, key: CacheKey) -> None:
        known = [entry for entry in self.model if entry[0] == key]

        found = self.cache.get(key)

        assert found is (known[0][1] if known else None)
        self.model = [entry for entry in self.model if entry[0] != key] + known
        self.hits += len(known)

    @rule(bundle=st.sampled_from(BUNDLES))
    def swap(self, bundle: tuple[str, int]) -> None:
        asyncio.run(self.cache.keep_only(*bundle))

        self.model = [
            entry for entry in self.model if (entry[0].bundle_id, entry[0].generation) == bundle
        ]

    @invariant()
    def it_holds_what_the_list_holds_and_never_more_than_its_bound(self) -> None:
        assert self.cache.size == self.size() <= BOUND
        assert len(self.cache) == len(self.model)
        assert self.seen.holds == (len(self.model), self.size())
        assert (self.seen.hits, self.seen.evicted) == (self.hits, self.evicted)

    def size(self) -> int:
        return sum(size_of_entry(*entry) for entry in self.model)


TestCacheMachine = CacheMachine.TestCase

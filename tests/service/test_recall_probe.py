import gc
import threading
import weakref
from itertools import cycle

import numpy as np
import pytest

from export.index_families import build
from service.contract.retriever_record import Family
from service.recall_probe import BACKLOG, RecallProbe
from service.retrievers import FlatRetriever
from service.retrievers.approximate import ApproximateRetriever, Effort
from tests.clustered import clustered_units, near

PRODUCTS = clustered_units(500, 16)
QUERIES = near(PRODUCTS, 12)
LONG = 60.0


class Seen:
    """What a probe tells, and whether it told so much."""

    def __init__(self, wanted: int) -> None:
        self.recalls: list[float] = []
        self.dropped = 0
        self.threads: set[int] = set()
        self.enough = threading.Event()
        self._wanted = wanted

    def compared(self, recall: float) -> None:
        self.recalls.append(recall)
        self.threads.add(threading.get_ident())
        if len(self.recalls) >= self._wanted:
            self.enough.set()

    def drop(self) -> None:
        self.dropped += 1


def retriever(width: int = 1) -> ApproximateRetriever:
    return build(Family.IVF, PRODUCTS, seed=0).retriever(PRODUCTS).with_effort(Effort(width=width))


def probing(seen: Seen, share: float, *draws: float) -> RecallProbe:
    drawn = cycle(draws or (0.0,))
    return RecallProbe(
        share, on_compared=seen.compared, on_dropped=seen.drop, rest=0, chance=lambda: next(drawn)
    )


def test_a_sampled_search_is_compared_in_another_thread() -> None:
    seen = Seen(4)
    probe, narrow = probing(seen, 0.5, 0.4, 0.5, 0.9), retriever()
    probe.watch(narrow)

    narrow.search(QUERIES, 3)  # every third draw is below the share

    assert seen.enough.wait(LONG)
    probe.close()
    assert seen.recalls == pytest.approx(narrow.recall(QUERIES[::3], 10).tolist())
    assert min(seen.recalls) < 1
    assert threading.get_ident() not in seen.threads


def test_a_full_backlog_drops_and_never_waits() -> None:
    seen = Seen(1)
    probe, narrow = probing(seen, 1.0), retriever()
    narrow.watcher = probe.offer  # nothing compares: the probe was not started

    narrow.search(QUERIES, 3)

    assert seen.dropped == len(QUERIES) - BACKLOG
    assert seen.recalls == []


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_what_is_exact_or_not_to_be_sampled_is_not_watched(share: float) -> None:
    index = build(Family.FLAT, PRODUCTS, seed=0).index
    flat = FlatRetriever(index)  # pyright: ignore[reportArgumentType]
    before, narrow = threading.active_count(), retriever()
    probe = probing(Seen(1), share)

    probe.watch(flat)
    if share == 0:
        probe.watch(narrow)

    assert narrow.watcher is None
    assert threading.active_count() == before


def test_what_waits_keeps_no_retriever_in_memory() -> None:
    probe, narrow = probing(Seen(1), 1.0), retriever()
    narrow.watcher = probe.offer
    narrow.search(QUERIES, 3)
    gone = weakref.ref(narrow)

    gc.disable()
    try:
        del narrow
        assert gone() is None
    finally:
        gc.enable()


def test_queries_that_change_later_are_compared_as_they_were() -> None:
    seen = Seen(1)
    probe, narrow = probing(seen, 1.0), retriever()
    queries = QUERIES[:1].copy()
    probe.offer(narrow, queries)
    queries[:] = np.nan

    probe.watch(narrow)

    assert seen.enough.wait(LONG)
    probe.close()
    assert seen.recalls == pytest.approx(narrow.recall(QUERIES[:1], 10).tolist())

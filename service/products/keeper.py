"""The changes of the catalogue: kept on disk, laid over the bundle that answers, and merged."""

import asyncio
import itertools
import logging
import time
import weakref
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from service.catalogue import Catalogue, ServedProducts
from service.contract.errors import ChangesNotKeptError
from service.opening import OpenBundle
from service.products.change import Change, ProductRecord
from service.products.encoding import ProductEncoding
from service.products.ground import Base
from service.products.log import ChangesLog
from service.products.merging import can_merge, merged
from service.products.outcomes import Outcome
from service.products.overlay import Overlay, carried_over
from service.products.plan import EncodedChange, Plan
from service.products.served import Served
from service.products.terms import KeeperTerms, ProductObserver

COMPACT_LINES = 1000
"""A log is made short once it has so many lines more than twice those that still matter."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Laid:
    """Changes laid over one bundle."""

    encoding: ProductEncoding
    overlay: Overlay
    has_signals: bool


class ProductKeeper:
    """Keeps changes and serves them; used on the event loop, but for `prepare`.

    What several requests want while the disk is busy is kept by one wait for it (a group commit),
    in the order that they came. A state is published once the disk has it, never before.
    """

    def __init__(
        self,
        log: ChangesLog,
        terms: KeeperTerms,
        *,
        publish: Callable[[Served], None],
        observer: ProductObserver,
    ) -> None:
        self._log = log
        self._terms = terms
        self._publish_state = publish
        self._observer = observer
        self._kept: dict[str, Change] = {}
        self._keep(log.replayed)
        self._laid: dict[int, _Laid] = {}
        self._active: _Laid | None = None
        self._waiting: list[tuple[Sequence[EncodedChange], asyncio.Future[list[Outcome]]]] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="changes")
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="merge")

    def prepare(self, bundle: OpenBundle) -> None:
        """Lay the changes so far over a bundle that does not answer yet; called in a thread."""
        recommender = bundle.recommender
        encoding = ProductEncoding.of(bundle)
        base = Base.of_bundle(
            recommender.retriever, _of_bundle(recommender.catalogue), recommender.encoder.tokeniser
        )
        overlay = Overlay(base, accept_new=self._terms.accept_new)
        changes = list(self._kept.copy().values())
        found = encoding.encoded(one for one in changes if not overlay.is_in_base(one))
        for change in changes:
            overlay.apply(change, found.get(change.product_id))
        laid = _Laid(encoding, overlay, has_signals=recommender.signals is not None)
        self._laid[id(bundle.manifest)] = laid
        weakref.finalize(bundle.manifest, self._laid.pop, id(bundle.manifest), None).atexit = False

    def begin(self, bundle: OpenBundle) -> Served:
        """Return what is served of a bundle that answers from now on.

        A product that was put while the bundle was opened, and is encoded another way there, is
        found a moment later.
        """
        if id(bundle.manifest) not in self._laid:
            self.prepare(bundle)
        laid, before = self._laid[id(bundle.manifest)], self._active
        is_same = before is not None and before.encoding.is_same(laid.encoding)
        for change in self._newer_than(laid.overlay.sequence):
            known = before.overlay.fresh_product(change.product_id) if before and is_same else None
            laid.overlay.apply(change, known)
        self._active = laid
        self._observer.changes_kept(self._log.size)
        return self._shown()

    def record(self, product_id: str) -> ProductRecord | None:
        """Return what a product is now; None where there is none."""
        return self._opened().overlay.record(product_id)

    def is_pending(self, product_id: str) -> bool:
        """Return whether a product waits to be encoded, and is not found meanwhile."""
        return product_id in self._opened().overlay.pending

    def is_newer(self, product_id: str) -> bool:
        """Return whether a product is newer than the calibration."""
        return self._opened().overlay.is_newer(product_id)

    async def commit(self, changes: Sequence[EncodedChange]) -> list[Outcome]:
        """Return what became of each change, once the disk has all and all are served.

        A caller that is cancelled cancels nothing: its changes are kept all the same.
        """
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append((changes, future))
        self._start("commit", self._commit_all)
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Keep what was wanted so far, and nothing more."""
        if (committing := self._tasks.get("commit")) is not None:
            await asyncio.wait([committing])
        for task in self._tasks.values():
            task.cancel()
        self._worker.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._disk.shutdown)
        self._log.close()

    def _opened(self) -> _Laid:
        if self._active is None:
            message = "no bundle is open yet"
            raise RuntimeError(message)
        return self._active

    def _keep(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._kept.pop(change.product_id, None)  # so that they stay in order
            self._kept[change.product_id] = change

    def _newer_than(self, sequence: int) -> list[Change]:
        newest = reversed(self._kept.values())
        return list(itertools.takewhile(lambda one: one.sequence > sequence, newest))[::-1]

    def _start(self, name: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Start work of which there is one at a time, unless it is under way."""
        task = self._tasks.get(name)
        if task is None or task.done():
            self._tasks[name] = asyncio.create_task(work())
            self._tasks[name].add_done_callback(_say_if_failed)

    def _shown(self) -> Served:
        """Return the state of the moment; see to what it leaves to do."""
        overlay = self._opened().overlay
        served = overlay.served()
        self._observer.products_served(served)
        if overlay.pending:
            self._start("catch up", self._catch_up)
        if overlay.fresh_rows > self._terms.merge_rows:
            self._start("merge", self._merge)
        return served

    def _show(self) -> None:
        self._publish_state(self._shown())

    async def _commit_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                await self._commit_group(group)
            except Exception as error:  # nobody may wait for ever, and the next group is another
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)

    async def _commit_group(
        self, group: Sequence[tuple[Sequence[EncodedChange], asyncio.Future[list[Outcome]]]]
    ) -> None:
        plan = Plan(self._opened().overlay, self._kept)
        outcomes = [[plan.add(one) for one in changes] for changes, _ in group]
        try:
            await self._keep_on_disk(plan.changes)
        except ChangesNotKeptError:
            logger.exception("changes not kept")
            outcomes = [[Outcome.NOT_KEPT for _ in changes] for changes, _ in group]
        for (_, future), own in zip(group, outcomes, strict=True):
            if not future.done():
                future.set_result(own)

    async def _keep_on_disk(self, changes: Sequence[EncodedChange]) -> None:
        """Keep changes and serve them.

        Raises:
            ChangesNotKeptError: if the disk does not take them; nothing is served of them.
        """
        if not changes:
            return
        loop = asyncio.get_running_loop()
        wanted = [one.wanted for one in changes]
        kept = await loop.run_in_executor(self._disk, self._log.append, wanted)
        self._keep(kept)
        active = self._opened()
        for change, encoded in zip(kept, changes, strict=True):
            fits = encoded.encoding.is_same(active.encoding)
            active.overlay.apply(change, encoded.product if fits else None)
        self._show()
        await self._compact_if_long()
        self._observer.changes_kept(self._log.size)

    async def _compact_if_long(self) -> None:
        if self._log.lines <= 2 * len(self._kept) + COMPACT_LINES:
            return
        changes = list(self._kept.values())
        try:
            await asyncio.get_running_loop().run_in_executor(self._disk, self._log.compact, changes)
        except ChangesNotKeptError:
            logger.exception("the log of changes stays long")

    async def _catch_up(self) -> None:
        """Encode what was put under another encoding, and serve it."""
        active, tried = self._opened(), set[int]()
        while changes := [
            one for one in active.overlay.pending.values() if one.sequence not in tried
        ]:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._worker, active.encoding.encoded, changes)
            if active is not self._active:  # the bundle after it has its own to catch up with
                active, tried = self._opened(), set[int]()
                continue
            tried.update(one.sequence for one in changes)
            for change in changes:
                if active.overlay.pending.get(change.product_id) is change:
                    active.overlay.apply(change, found.get(change.product_id))
            self._show()
        if failed := len(active.overlay.pending):
            logger.error("the encoder fails on products that were put", extra={"products": failed})

    async def _merge(self) -> None:
        """Put the fresh products into the base, in a thread, while the old state serves."""
        started = time.perf_counter()
        active = self._opened()
        old, served = active.overlay, active.overlay.served()
        pending = list(old.pending.values())
        if not served.counts.products:
            return  # an index of nothing is none
        if can_merge(old.base) and not active.has_signals:
            loop = asyncio.get_running_loop()
            base = await loop.run_in_executor(self._worker, merged, served)
            since = served.sequence
        elif old.fresh_rows - served.counts.fresh <= self._terms.merge_rows // 2:
            return  # little would be gained, or the signals know rows: a build is due
        else:
            base, since = old.base, 0  # the rows of products that are gone are let go
        is_current = active is self._active
        if is_current:
            waiting = [one for one in pending if self._kept[one.product_id] is one]
            late = [one for one in waiting if one.sequence <= since]
            changes = [*late, *self._newer_than(since)]
            active.overlay = carried_over(
                old, base, changes, since=since, accept_new=self._terms.accept_new
            )
            self._show()
        result = "merged" if is_current else "superseded"
        self._observer.products_merged(result, time.perf_counter() - started)


def _say_if_failed(task: asyncio.Task[None]) -> None:
    """Log why background work ended; what was served is served on."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("work on changed products failed", exc_info=error)


def _of_bundle(catalogue: ServedProducts) -> Catalogue:
    """Return the catalogue of a bundle that no change was laid over yet."""
    if not isinstance(catalogue, Catalogue):
        message = f"need the catalogue of a bundle, not a {type(catalogue).__name__}"
        raise TypeError(message)
    return catalogue

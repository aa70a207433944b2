"""What every route shares: settings, metrics, callers, the generation that answers, the workers."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from starlette.requests import Request

from service.answering import Answering
from service.batching.admission import QueueLimits, Speed
from service.batching.work import Lane
from service.cache import AnswerCache
from service.callers import Callers
from service.contract.release import RELEASE
from service.cores import available_cores
from service.generation import Generation
from service.live.keeper import BundleKeeper, BundleOpener, SwapHooks
from service.metrics import Metrics
from service.observers import BatchMetrics, CacheMetrics, ProductMetrics
from service.onnx_session import Device
from service.opening import OpenBundle, open_bundle_to_serve
from service.problems import not_ready
from service.products.keeper import ProductKeeper
from service.products.log import ChangesLog
from service.products.served import Served
from service.products.terms import KeeperTerms
from service.recall_probe import RecallProbe
from service.settings import Settings
from service.tracing import open_tracer
from service.warm_up import warm_up

UNMEASURED_TOKENS_PER_SECOND = 2000.0
"""Of one worker, until the first bundle's encoder was timed."""
PROOF_SECONDS = 0.8
"""How long a text of our own may take to prove that work gets done; below common probes' limit."""
RECENT_SECONDS = 1.0
"""A batch that came to an end so recently proves it as well."""
MAX_RESTARTS = 3
"""So many workers given up without a batch done: only a new process can help."""


class Serving:
    """The state of one app.

    Attributes:
        settings: where and how it runs.
        metrics: what is counted.
        callers: who may call, as the keys file says.
        door: lets them in.
        keeper: opens and swaps bundles; made anew each time the app starts.
        answering: answers texts; the same.
        generation: what answers now; None until a bundle is open.
        is_draining: true once the process was asked to stop.
        streams: streams of lines under way.
        products: keeps and serves changes of products; None where no folder is set for them.
        why_no_bundle: says what keeps the bundle that is named from being served; empty where
            nothing does, or it was not tried yet.
        tracer: takes the spans of requests.
    """

    answering: Answering
    keeper: BundleKeeper
    _probe: RecallProbe

    def __init__(
        self, settings: Settings, callers: Callers, opener: BundleOpener | None = None
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.callers = callers
        self.door = callers.door
        self.generation: Generation | None = None
        self.is_draining = False
        self.streams = 0
        self.products: ProductKeeper | None = None
        self.why_no_bundle: Callable[[], str] = str
        self._speed = Speed(UNMEASURED_TOKENS_PER_SECOND)
        self.tracer = open_tracer(settings.otlp_endpoint, service_version=RELEASE)
        self._opener = opener
        self._proof: asyncio.Task[bool] | None = None
        self._tidying: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Make ready to answer; called on the event loop."""
        settings = self.settings
        self.generation = None
        self.keeper = self._make_keeper()
        self._probe = RecallProbe(
            settings.recall_probe_share,
            on_compared=self.metrics.count_recall,
            on_dropped=self.metrics.count_probe_dropped,
        )
        one_owner = settings.device is Device.CUDA
        tokens = {
            Lane.INTERACTIVE: settings.max_interactive_tokens,
            Lane.BULK: settings.max_bulk_tokens,
        }
        self.answering = Answering(
            workers=settings.workers or (1 if one_owner else available_cores()),
            limits=QueueLimits(
                requests=settings.max_waiting,
                tokens=tokens,
                seconds={Lane.INTERACTIVE: settings.max_interactive_seconds},
            ),
            speed=self._speed,
            cache=AnswerCache(settings.cache_bytes, observer=CacheMetrics(self.metrics)),
            observer=BatchMetrics(self.metrics),
        )
        batcher = self.answering.batcher
        queue = batcher.queue
        self.metrics.watch_queue(queue.depths, lambda: queue.oldest_age(time.monotonic()))
        self.metrics.watch_progress(lambda: not batcher.progress.stuck())
        self.metrics.watch_ready(self._may_answer)

    def open_changes(self) -> None:
        """Read the changes of products that were kept, if a folder is set for them; for a thread.

        Raises:
            ChangesError: if they cannot be read, or another process has them.
        """
        settings = self.settings
        if settings.changes_folder is not None:
            self.products = ProductKeeper(
                ChangesLog.open(settings.changes_folder),
                KeeperTerms(settings.merge_products, accept_new=settings.accept_new_products),
                publish=self._show_products,
                observer=ProductMetrics(self.metrics),
            )

    async def stop(self) -> None:
        """Answer nothing more."""
        if self.products is not None:
            await self.products.close()
            self.products = None
        self.keeper.close()
        self.answering.close()
        self._probe.close()

    def opened(self) -> Generation:
        """Return what answers now.

        Raises:
            ProblemError: 503 if no bundle is open yet.
        """
        if self.generation is None:
            detail = "the bundle is still being opened and checked; come back in a moment"
            raise not_ready(detail)
        return self.generation

    def refuse_if_full(self, *lanes: Lane) -> None:
        """Refuse a request early where it could wait in none of these lanes.

        Raises:
            BusyError: if all of them are full.
        """
        queue = self.answering.batcher.queue
        for lane in lanes[:-1]:
            if not queue.is_full(lane):
                return
        queue.check(lanes[-1])

    async def is_working(self, generation: Generation) -> bool:
        """Return whether work gets done: a batch just now, or else a text of our own in time."""
        last = self.answering.batcher.progress.last_completed
        if last is not None and time.monotonic() - last <= RECENT_SECONDS:
            return True
        if self._proof is None or self._proof.done():
            proof = self.answering.prove(generation, seconds=PROOF_SECONDS)
            self._proof = asyncio.create_task(proof)
        return await asyncio.shield(self._proof)

    @property
    def is_beyond_help(self) -> bool:
        """Return whether only a new process can answer again."""
        return self.answering.batcher.restarts >= MAX_RESTARTS

    def _may_answer(self) -> bool:
        """Return what ``/readyz`` would say without work of its own."""
        is_open = self.generation is not None and not self.is_draining
        return is_open and not self.answering.batcher.progress.stuck()

    def _make_keeper(self) -> BundleKeeper:
        hooks = SwapHooks(
            on_open=self._answer_from,
            may_serve=self.callers.missing_from,
            warm_up=self._warm_up,
            on_end=self.metrics.count_swap,
        )
        opener = partial(
            open_bundle_to_serve,
            device=self.settings.device,
            device_memory_mb=self.settings.device_memory_mb,
        )
        return BundleKeeper(hooks, opener=self._opener or opener)

    def _warm_up(self, new: OpenBundle) -> None:
        self._probe.watch(new.recommender.retriever)
        encoder = new.recommender.encoder
        if encoder.budget.tokens_per_second is None:  # else it is the one that serves already
            encoder.on_failure = self.metrics.count_encoder_failure
            warm_up(encoder, tokens=self.settings.batch_tokens)
        if self.products is not None:
            self.products.prepare(new)

    def _answer_from(self, new: OpenBundle) -> None:
        number = 1 if self.generation is None else self.generation.number + 1
        generation = Generation.of(new, number=number)
        if self.products is not None:
            generation = generation.serving(self.products.begin(new), number=number)
        self.generation = generation
        speed = new.recommender.encoder.budget.tokens_per_second
        if speed is not None:
            self._speed.set(speed)
        self._tidy_up(generation)
        self.metrics.show_bundle(new.manifest, generation=number)

    def _show_products(self, served: Served) -> None:
        """Answer from the catalogue after a change; requests under way go on with their own."""
        generation = self.opened()
        self.generation = generation.serving(served, number=generation.number + 1)
        self.keeper.current = self.generation.bundle  # so that an index merged away is let go
        self._tidy_up(self.generation)

    def _tidy_up(self, generation: Generation) -> None:
        """Let go of answers that no request will find any more."""
        if self._tidying is not None:
            self._tidying.cancel()
        tidying = self.answering.cache.keep_only(generation.manifest.bundle_id, generation.number)
        self._tidying = asyncio.create_task(tidying)


def serving_of(request: Request) -> Serving:
    """Return the state of the app that a request came to."""
    return request.app.state.serving

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from service.answering import INLINE_CHARACTERS, Answering, Call
from service.batching.admission import BusyError, QueueLimits, Speed
from service.batching.engines import RecommendAsk
from service.batching.formation import Batch
from service.batching.ticket import DeadlineError, StoppedError
from service.batching.work import Lane
from service.cache import AnswerCache
from service.contract.decision import Reason
from service.generation import Generation
from service.opening import open_bundle_to_serve
from service.recommender import Answer, StageClock
from tests.poison import PoisonSession
from tests.tiny import write_bundle

T = TypeVar("T")
SECONDS = 20.0
TEXTS = ("sony wh 1000xm4 black", "canon eos", "", "bose", "nikon z6 ii body", "generic cable")
POISON_TEXT = "silver"


class Silent:
    """Observes and says nothing."""

    shared = 0

    def batch_done(self, batch: Batch[Any, Any], clock: StageClock) -> None:
        """Say nothing."""

    def text_failed(self) -> None:
        """Say nothing."""

    def worker_restarted(self) -> None:
        """Say nothing."""

    def tokenised(self, lengths: Sequence[int]) -> None:
        """Nobody asks."""

    def missed(self) -> None:
        """Nobody asks."""

    def coalesced(self) -> None:
        self.shared += 1


class Gate:
    """Stands before a real session: runs wait until it opens."""

    def __init__(self, session: Any) -> None:
        self.open = threading.Event()
        self.begun = threading.Event()
        self.runs = 0
        self._session = session

    def run(self, outputs: Sequence[str], inputs: Any) -> Any:
        self.runs += 1
        self.begun.set()
        assert self.open.wait(SECONDS)
        return self._session.run(outputs, inputs)


class Desk:
    """An `Answering` in an event loop of its own, with a tiny bundle."""

    def __init__(
        self, folder: Path, *, cache_bytes: int = 0, tokens: int = 10_000, workers: int = 2
    ) -> None:
        self.runner = asyncio.Runner()
        self.observer = Silent()
        self.generation = Generation.of(open_bundle_to_serve(folder), number=1)
        self.encoder = self.generation.bundle.recommender.encoder
        self.gate = Gate(vars(self.encoder)["_session"])
        vars(self.encoder)["_session"] = self.gate
        self.gate.open.set()

        async def make() -> Answering:
            return Answering(
                workers=workers,
                limits=QueueLimits(requests=1000, tokens=dict.fromkeys(Lane, tokens)),
                speed=Speed(1000.0),
                cache=AnswerCache(cache_bytes),
                observer=self.observer,
            )

        self.answering = self.run(make())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def ask(
        self,
        texts: Sequence[str],
        *,
        lane: Lane = Lane.INTERACTIVE,
        seconds: float = SECONDS,
        k: int = 5,
        threshold: float | None = 0.8,
    ) -> Coroutine[Any, Any, list[Answer]]:
        now = time.monotonic()
        return self.answering.recommend(
            texts,
            generation=self.generation,
            ask=RecommendAsk(k=k, threshold=threshold),
            call=Call(lane, now, now + seconds),
            target_precision=0.95,
        )

    def idle(self) -> bool:
        depths = self.answering.batcher.queue.depths()
        return all(depth == (0, 0) for depth in depths.values())

    def wait_until(self, holds: Callable[[], bool]) -> None:
        async def watch() -> None:
            async with asyncio.timeout(SECONDS):
                while not holds():
                    await asyncio.sleep(0.002)

        self.run(watch())

    def close(self) -> None:
        self.gate.open.set()
        self.answering.close()
        self.runner.close()


@pytest.fixture
def make_desk(tiny_bundle: Path) -> Generator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def make(**options: Any) -> Desk:
        desks.append(Desk(tiny_bundle, **options))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


def test_answers_are_those_of_the_recommender_in_order(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    expected = desk.generation.bundle.recommender.recommend(TEXTS)

    found = desk.run(desk.ask(TEXTS))

    assert [answer.reason for answer in found] == [answer.reason for answer in expected]
    for answer, other in zip(found, expected, strict=True):
        assert [r.product_id for r in answer.recommendations] == [
            r.product_id for r in other.recommendations
        ]
        np.testing.assert_allclose(
            [r.similarity for r in answer.recommendations],
            [r.similarity for r in other.recommendations],
            atol=1e-5,
        )
    assert desk.idle()


def test_each_query_gets_its_own_k_and_threshold_though_they_share_a_batch(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(workers=1)
    desk.gate.open.clear()

    async def both() -> Sequence[list[Answer]]:
        first = asyncio.create_task(desk.ask(["bose"]))
        await asyncio.to_thread(desk.gate.begun.wait, SECONDS)
        strict = asyncio.create_task(desk.ask(["canon eos r5"], k=1, threshold=1.0))
        lax = asyncio.create_task(desk.ask(["canon eos r5"], k=7, threshold=-1.0))
        await asyncio.sleep(0)
        desk.gate.open.set()
        return await asyncio.gather(first, strict, lax)

    _, [strict], [lax] = desk.run(both())

    assert desk.gate.runs == 2
    assert (len(strict.recommendations), strict.reason) == (1, Reason.BELOW_THRESHOLD)
    assert (len(lax.recommendations), lax.reason) == (7, Reason.ABOVE_THRESHOLD)


def test_a_repeated_text_is_encoded_once_and_then_never_again(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(cache_bytes=1_000_000)
    first = desk.run(desk.ask(["Sony  Black", "sony black", "SONY BLACK"]))
    runs = desk.gate.runs

    second = desk.run(desk.ask(["sony\u200b black"]))

    assert desk.gate.runs == runs == 1
    assert desk.observer.shared == 2
    assert first == second * 3


def test_without_a_cache_each_text_is_encoded(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(cache_bytes=0)

    desk.run(desk.ask(["sony"]))
    desk.run(desk.ask(["sony"]))

    assert desk.gate.runs == 2


def test_another_k_or_promise_is_another_answer(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(cache_bytes=1_000_000)

    [few] = desk.run(desk.ask(["sony"], k=1))
    [more] = desk.run(desk.ask(["sony"], k=2))

    assert [len(few.recommendations), len(more.recommendations)] == [1, 2]


def test_a_request_that_is_cancelled_takes_nobody_with_it(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(cache_bytes=1_000_000, workers=1)
    desk.gate.open.clear()

    async def leader_leaves() -> list[Answer]:
        leader = asyncio.create_task(desk.ask(["sony"]))
        await asyncio.to_thread(desk.gate.begun.wait, SECONDS)
        waiting = asyncio.create_task(desk.ask(["bose"]))
        await asyncio.sleep(0)
        follower = asyncio.create_task(desk.ask(["bose"]))
        await asyncio.sleep(0)
        leader.cancel()
        waiting.cancel()
        await asyncio.sleep(0)
        desk.gate.open.set()
        return await follower

    [answer] = desk.run(leader_leaves())

    assert answer.recommendations[0].product_id == "p-3"
    desk.wait_until(desk.idle)


def test_a_cancelled_request_leaves_the_queue_at_once(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(workers=1)
    desk.gate.open.clear()

    async def leave() -> None:
        running = asyncio.create_task(desk.ask(["sony"]))
        await asyncio.to_thread(desk.gate.begun.wait, SECONDS)
        waiting = asyncio.create_task(desk.ask(["bose"] * 50, lane=Lane.BULK))
        await asyncio.sleep(0)
        assert desk.answering.batcher.queue.depths()[Lane.BULK][1] > 0
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert desk.answering.batcher.queue.depths()[Lane.BULK] == (0, 0)
        desk.gate.open.set()
        await running

    desk.run(leave())

    assert desk.gate.runs == 1


@pytest.mark.parametrize("stage", ["tokenise", "queue", "encode"])
def test_a_request_ends_at_its_deadline_wherever_it_is(
    make_desk: Callable[..., Desk], stage: str
) -> None:
    desk = make_desk(workers=1)
    desk.gate.open.clear()

    async def late() -> str:
        others: list[asyncio.Task[list[Answer]]] = []
        if stage == "queue":
            others.append(asyncio.create_task(desk.ask(["sony"])))
            await asyncio.to_thread(desk.gate.begun.wait, SECONDS)
        try:
            await desk.ask(["bose"], seconds=0.0 if stage == "tokenise" else 0.1)
        except DeadlineError as error:
            desk.gate.open.set()
            await asyncio.gather(*others)
            return error.stage
        return "answered"

    assert desk.run(late()) == stage
    desk.wait_until(desk.idle)


def test_a_full_queue_refuses_and_forgets_the_request(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(cache_bytes=1_000_000, tokens=10, workers=1)
    desk.gate.open.clear()

    async def fill() -> list[Answer]:
        running = asyncio.create_task(desk.ask(["sony"]))
        await asyncio.to_thread(desk.gate.begun.wait, SECONDS)
        waiting = asyncio.create_task(desk.ask(["bose", "canon eos"]))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await desk.ask(["nikon z6"])
        desk.gate.open.set()
        await asyncio.gather(running, waiting)
        return await desk.ask(["nikon z6"])  # nobody waits for the one that was refused

    [answer] = desk.run(fill())

    assert answer.recommendations[0].product_id == "p-6"
    assert desk.idle()


def test_closing_fails_what_waits(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(workers=1)
    desk.gate.open.clear()

    async def stop() -> None:
        running = asyncio.create_task(desk.ask(["sony"]))
        await asyncio.to_thread(desk.gate.begun.wait, SECONDS)
        desk.answering.close()
        with pytest.raises(StoppedError):
            await running

    desk.run(stop())


def test_long_texts_are_tokenised_off_the_event_loop(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk()
    threads: list[threading.Thread] = []
    tokeniser = desk.encoder.tokeniser
    real = tokeniser.of_normalised

    def noting(texts: Sequence[str]) -> Any:
        threads.append(threading.current_thread())
        return real(texts)

    monkeypatch.setattr(tokeniser, "of_normalised", noting)

    desk.run(desk.ask(["a " * (INLINE_CHARACTERS // 2)]))
    desk.run(desk.ask(["a " * INLINE_CHARACTERS]))

    assert [thread is threading.current_thread() for thread in threads] == [True, False]


def test_a_text_of_our_own_proves_that_work_gets_done(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()

    assert desk.run(desk.answering.prove(desk.generation, seconds=SECONDS))
    desk.gate.open.clear()
    assert not desk.run(desk.answering.prove(desk.generation, seconds=0.05))


def test_embeddings_are_those_of_the_encoder(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    texts = ["sony wh", "", "canon"]

    async def embed() -> Any:
        now = time.monotonic()
        call = Call(Lane.INTERACTIVE, now, now + SECONDS)
        tokens = await desk.answering.tokenise(texts, generation=desk.generation, call=call)
        return await desk.answering.embed(tokens, generation=desk.generation, call=call)

    found = desk.run(embed())

    assert found[1] is None
    np.testing.assert_allclose(
        np.stack([found[0], found[2]]), desk.encoder.embed(["sony wh", "canon"]), atol=1e-6
    )


class Requests(RuleBasedStateMachine):
    """Requests of every kind, in every order: each one ends, with its own answers or its error."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self.folder, cache_bytes=3000, tokens=60)
        session = PoisonSession(
            self.folder / "encoder.onnx",
            token=self.desk.encoder.tokenise([POISON_TEXT])[0].ids[1],
            harm="raises",
        )
        self.expected = {
            text: self.desk.generation.bundle.recommender.recommend([text])[0] for text in TEXTS
        }
        vars(self.desk.gate)["_session"] = session
        self.tasks: list[tuple[tuple[str, ...], asyncio.Task[list[Answer]]]] = []

    @rule(
        texts=st.lists(st.sampled_from([*TEXTS, POISON_TEXT]), min_size=1, max_size=6),
        lane=st.sampled_from(Lane),
        seconds=st.sampled_from([0.0, 0.02, SECONDS]),
    )
    def submit(self, texts: list[str], lane: Lane, seconds: float) -> None:
        async def start() -> asyncio.Task[list[Answer]]:
            return asyncio.create_task(self.desk.ask(texts, lane=lane, seconds=seconds))

        self.tasks.append((tuple(texts), self.desk.run(start())))

    @rule(which=st.integers(0, 20))
    def cancel(self, which: int) -> None:
        if self.tasks:
            self.tasks[which % len(self.tasks)][1].cancel()

    @rule(harm=st.sampled_from(["raises", "runs out of memory", "gives NaN to the whole batch"]))
    def harm_otherwise(self, harm: Any) -> None:
        vars(vars(self.desk.gate)["_session"])["_harm"] = harm

    @rule()
    def hold(self) -> None:
        self.desk.gate.open.clear()

    @rule()
    def let_go(self) -> None:
        self.desk.gate.open.set()

    @rule()
    def work(self) -> None:
        self.desk.run(asyncio.sleep(0.005))

    @invariant()
    def nobody_waits_for_less_than_nothing(self) -> None:
        depths = self.desk.answering.batcher.queue.depths()
        assert all(min(depth) >= 0 for depth in depths.values())

    def teardown(self) -> None:
        self.desk.gate.open.set()

        async def everything() -> list[list[Answer] | BaseException]:
            async with asyncio.timeout(SECONDS):
                tasks = (task for _, task in self.tasks)
                return await asyncio.gather(*tasks, return_exceptions=True)

        ends = self.desk.run(everything())
        for (texts, _), end in zip(self.tasks, ends, strict=True):
            if isinstance(end, BaseException):
                assert isinstance(end, DeadlineError | BusyError | asyncio.CancelledError)
            else:
                for text, answer in zip(texts, end, strict=True):
                    self.check(text, answer)
        self.desk.wait_until(self.desk.idle)
        self.desk.close()

    def check(self, text: str, answer: Answer) -> None:
        if text == POISON_TEXT:
            assert answer.reason is Reason.ENCODER_FAILED
            return
        expected = self.expected[text]
        assert answer.reason is expected.reason
        np.testing.assert_allclose(
            [r.similarity for r in answer.recommendations],
            [r.similarity for r in expected.recommendations],
            atol=1e-5,
        )


@pytest.fixture(scope="module")
def machine_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("answering") / "bundle").folder


def test_whatever_happens_every_request_ends_with_its_own_answers(machine_folder: Path) -> None:
    Requests.folder = machine_folder
    few = settings(max_examples=40, stateful_step_count=25, deadline=None)

    run_state_machine_as_test(Requests, settings=few)  # pyright: ignore[reportUnknownMemberType]

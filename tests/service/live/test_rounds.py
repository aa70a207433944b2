import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.live.outcomes import RefusedError, SwapOutcome, SwapStatus
from service.live.rounds import Round, Rounds

A, B, C = Path("a"), Path("b"), Path("c")
SWAPPED, SUPERSEDED = SwapStatus.SWAPPED, SwapStatus.SUPERSEDED


class Bench:
    """Opens bundles by name once a test lets it; those called ``bad`` are refused."""

    def __init__(self, *, serving: str | None = "first") -> None:
        self.serving = serving
        self.begun: list[Path] = []
        self.ended = 0
        self.go = asyncio.Semaphore(0)
        self.rounds = Rounds(self.open, serving=lambda: self.serving)

    async def open(self, asked: Round) -> SwapOutcome | str:
        target = asked.target
        assert len(self.begun) == self.ended, "two openings at a time"
        self.begun.append(target)
        await self.go.acquire()
        self.ended += 1
        if target.name.startswith("bad"):
            return f"{target} is torn"
        if asked.is_overruled:
            return SwapOutcome(SUPERSEDED, self.serving or "", 1.0)
        self.serving = target.name
        return SwapOutcome(SWAPPED, target.name, 1.0)

    def ask(self, target: Path) -> asyncio.Task[SwapOutcome]:
        return asyncio.create_task(self.rounds.ask(target))


async def settle() -> None:
    """Let everything happen that can happen without a further opening."""
    for _ in range(10):
        await asyncio.sleep(0)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


def summary(outcomes: list[SwapOutcome]) -> list[tuple[SwapStatus, str]]:
    return [(outcome.status, outcome.bundle_id) for outcome in outcomes]


def test_requests_for_one_bundle_that_wait_share_one_opening() -> None:
    async def scenario() -> None:
        bench = Bench()
        first = bench.ask(A)
        await settle()
        others = [bench.ask(B) for _ in range(10)]
        await settle()
        bench.go.release()
        bench.go.release()
        outcomes = await asyncio.gather(first, *others)

        assert bench.begun == [A, B]
        assert summary(outcomes) == [(SWAPPED, "a")] + [(SWAPPED, "b")] * 10

    run(scenario())


def test_of_several_bundles_that_wait_only_the_newest_is_opened() -> None:
    async def scenario() -> None:
        bench = Bench()
        asked = [bench.ask(A)]
        await settle()
        for target in (B, C, B, C):
            asked.append(bench.ask(target))
            await settle()
        bench.go.release()
        bench.go.release()
        outcomes = await asyncio.gather(*asked)

        assert bench.begun == [A, C]
        superseded, served = (SUPERSEDED, "c"), (SWAPPED, "c")
        assert summary(outcomes) == [
            *((SWAPPED, "a"), superseded, served),
            *(superseded, served),
        ]

    run(scenario())


def test_a_request_that_comes_during_the_opening_of_its_bundle_waits_for_the_next_one() -> None:
    """The files may have been replaced since the opening began to read them."""

    async def scenario() -> None:
        bench = Bench()
        first = bench.ask(A)
        await settle()
        second = bench.ask(A)
        await settle()
        bench.go.release()
        await first

        assert not second.done()
        bench.go.release()
        await second
        assert bench.begun == [A, A]

    run(scenario())


def test_requests_that_come_together_are_one_opening() -> None:
    async def scenario() -> None:
        bench = Bench()
        asked = [bench.ask(target) for target in (A, B, B)]
        await settle()
        bench.go.release()

        assert summary(await asyncio.gather(*asked)) == [(SUPERSEDED, "b")] + [(SWAPPED, "b")] * 2
        assert bench.begun == [B]

    run(scenario())


def test_a_caller_who_leaves_cancels_nothing_for_the_others() -> None:
    async def scenario() -> None:
        bench = Bench()
        impatient, waiting, late = bench.ask(A), bench.ask(A), bench.ask(A)
        await settle()
        impatient.cancel()
        await settle()
        also_impatient = bench.ask(B)
        await settle()
        also_impatient.cancel()
        bench.go.release()
        bench.go.release()

        assert summary([await waiting, await late]) == [(SWAPPED, "a")] * 2
        await settle()
        assert impatient.cancelled()
        assert also_impatient.cancelled()
        assert bench.serving == "b"

    run(scenario())


def test_a_refusal_is_for_those_who_asked_for_that_bundle() -> None:
    async def scenario() -> None:
        bench = Bench()
        asked = [bench.ask(target) for target in (A, Path("bad"), Path("bad"))]
        await settle()
        bench.go.release()

        assert summary([await asked[0]]) == [(SUPERSEDED, "first")]
        for refused in asked[1:]:
            with pytest.raises(RefusedError, match="bad is torn"):
                await refused

    run(scenario())


def test_where_nothing_serves_everybody_is_told_of_the_refusal() -> None:
    async def scenario() -> None:
        bench = Bench(serving=None)
        asked = [bench.ask(target) for target in (A, Path("bad"))]
        await settle()
        bench.go.release()

        for refused in asked:
            with pytest.raises(RefusedError, match="bad is torn"):
                await refused

    run(scenario())


def test_what_was_asked_before_it_was_overruled_is_not_served_and_what_comes_later_is() -> None:
    async def scenario() -> None:
        bench = Bench()
        before = [bench.ask(A)]
        await settle()
        before.append(bench.ask(B))
        await settle()
        bench.rounds.overrule()
        bench.go.release()
        bench.go.release()
        assert summary(await asyncio.gather(*before)) == [(SUPERSEDED, "first")] * 2

        after = bench.ask(B)
        bench.go.release()
        assert summary([await after]) == [(SWAPPED, "b")]

    run(scenario())


def test_a_request_after_the_overruling_revives_the_round_that_waits() -> None:
    async def scenario() -> None:
        bench = Bench()
        asked = [bench.ask(A)]
        await settle()
        asked.append(bench.ask(B))
        await settle()
        bench.rounds.overrule()
        asked.append(bench.ask(C))
        await settle()
        bench.go.release()
        bench.go.release()

        outcomes = await asyncio.gather(*asked)
        assert summary(outcomes) == [(SUPERSEDED, "first"), (SUPERSEDED, "c"), (SWAPPED, "c")]

    run(scenario())


def test_at_the_end_whoever_waits_is_refused_and_so_is_whoever_comes() -> None:
    async def scenario() -> None:
        bench = Bench()
        asked = [bench.ask(A)]
        await settle()
        asked.append(bench.ask(B))
        await settle()
        bench.rounds.close()
        asked.append(bench.ask(C))

        for refused in asked:
            with pytest.raises(RefusedError, match="the service is stopping"):
                await refused
        await settle()
        assert bench.begun == [A]

    run(scenario())


class Play(Bench):
    """A bench with everything that was asked of it, and what should serve once all is done."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, asyncio.Task[SwapOutcome]]] = []
        self.last_word = "first"

    async def step(self, name: str) -> None:
        if name == "finish":
            self.go.release()
        elif name == "overrule":
            self.rounds.overrule()
            self.last_word = self.serving or ""
        elif name != "leave":
            self.asked.append((name, self.ask(Path(name))))
            self.last_word = name
        elif self.asked:
            self.asked[-1][1].cancel()
        await settle()

    async def finish(self) -> None:
        for _ in self.asked:
            self.go.release()
        await settle()


def is_honest(name: str, task: asyncio.Task[SwapOutcome]) -> bool:
    """Whether a request for ``name`` was told the truth, or left before."""
    if task.cancelled():
        return True
    if isinstance(task.exception(), RefusedError):
        return name == "bad"
    outcome = task.result()
    return outcome.status is SUPERSEDED or (name != "bad" and outcome.bundle_id == name)


@given(st.lists(st.sampled_from(["a", "b", "bad", "leave", "overrule", "finish"]), max_size=30))
def test_every_request_ends_and_the_last_word_is_what_serves(plan: list[str]) -> None:
    async def scenario() -> None:
        play = Play()
        for name in plan:
            await play.step(name)
        await play.finish()

        assert all(task.done() and is_honest(name, task) for name, task in play.asked)
        assert len(play.begun) <= len(play.asked)
        if play.last_word != "bad":
            assert play.serving == play.last_word

    run(scenario())

"""Ten swap requests a second while clients ask: every answer is 2xx and all of one bundle."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

import pytest

from service.contract.bundle import INDEX
from service.contract.pointer import publish
from tests.load import Loop, paced, under_load
from tests.process import Process, service_process
from tests.swap_traffic import (
    CORRUPT,
    NAMES,
    TEXTS,
    Expected,
    asking_for,
    must_agree,
    some_texts,
    write_bundles,
)
from tests.wire import Wire, request

Said = Mapping[str, Mapping[str, Expected]]
SWAPS_PER_SECOND = 10
CLIENTS = 5


class Traffic:
    """Clients and operators of one process, and what they got."""

    def __init__(self, address: str, root: Path, said: Said) -> None:
        self.address = address
        self.root = root
        self.said = said
        self.answered: Counter[str] = Counter()
        self.swaps: Counter[str] = Counter()
        self.refused = 0

    def client(self, seed: int) -> Loop:
        """Return a client that asks for 1 to 40 texts at a time on one connection."""

        def loop(over: threading.Event) -> None:
            chance = random.Random(seed)  # noqa: S311  # no secret
            with Wire(self.address) as wire:
                while not over.is_set():
                    texts = some_texts(chance)
                    answer = wire.ask(asking_for(texts))
                    self.answered[must_agree(answer, texts, self.said)] += 1

        return loop

    def operator(self, work: Callable[[Wire, int], None], *, per_second: float) -> Loop:
        """Return an operator who does ``work`` at a fixed rate, however long each takes."""

        def once(turn: int) -> None:
            with Wire(self.address) as wire:
                work(wire, turn)

        return paced(once, per_second=per_second, threads=8)

    def swap(self, wire: Wire, turn: int) -> None:
        answer = wire.ask(request("POST", "/admin/bundle", {"bundle": NAMES[turn % len(NAMES)]}))
        assert answer.status == 200, answer
        self.swaps[answer.json["status"]] += 1
        assert answer.json["bundle_id"] in self.said

    def swap_to_what_is_corrupt(self, wire: Wire, _turn: int) -> None:
        """Refused, unless a request that came later was carried out in its place."""
        answer = wire.ask(request("POST", "/admin/bundle", {"bundle": CORRUPT}))
        if answer.status == 200:
            assert answer.json["status"] == "superseded"
        else:
            assert (answer.status, answer.json["code"]) == (422, "bundle_refused")
            self.refused += 1

    def roll_back(self, wire: Wire, _turn: int) -> None:
        answer = wire.ask(request("POST", "/admin/rollback"))
        assert answer.status in (200, 409), answer
        self.swaps[f"rollback {answer.status}"] += 1

    def publish(self, _wire: Wire, turn: int) -> None:
        publish(self.root, NAMES[turn % len(NAMES)])

    def probe(self, wire: Wire, _turn: int) -> None:
        answer = wire.ask(request("GET", "/readyz"))
        assert answer.status == 200, answer
        assert answer.json["bundle_id"] in self.said

    def everybody(self) -> list[Loop]:
        return [
            *(self.client(seed) for seed in range(CLIENTS)),
            self.operator(self.swap, per_second=SWAPS_PER_SECOND),
            self.operator(self.publish, per_second=1.1),
            self.operator(self.roll_back, per_second=0.7),
            self.operator(self.swap_to_what_is_corrupt, per_second=1.7),
            self.operator(self.probe, per_second=20),
        ]


@pytest.fixture(scope="module")
def root_and_said(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    root = tmp_path_factory.mktemp("swaps") / "bundles"
    return root, write_bundles(root)


@pytest.fixture
def process(root_and_said: tuple[Path, Said], tmp_path: Path) -> Generator[Process]:
    arguments = ("--bundle", str(root_and_said[0]), "--port", "0", "--watch-seconds", "0.2")
    with service_process(tmp_path / "log", *arguments) as process:
        yield process


def run_for(seconds: float, process: Process, root_and_said: tuple[Path, Said]) -> Traffic:
    traffic = Traffic(process.ready_address(), *root_and_said)
    with under_load(traffic.everybody()) as over:
        over.wait(seconds)
    return traffic


def must_have_been_swapping(traffic: Traffic, process: Process, *, seconds: float) -> None:
    asked = traffic.swaps["swapped"] + traffic.swaps["unchanged"] + traffic.swaps["superseded"]
    assert asked >= SWAPS_PER_SECOND * seconds
    assert traffic.swaps["swapped"] >= seconds
    assert set(traffic.answered) == set(traffic.said)  # each bundle answered something
    assert "Traceback" not in process.said


def test_swaps_under_load_mix_no_answer(process: Process, root_and_said: tuple[Path, Said]) -> None:
    traffic = run_for(3, process, root_and_said)

    must_have_been_swapping(traffic, process, seconds=3)


@pytest.mark.parametrize("current", NAMES)
def test_a_damaged_bundle_is_refused_whichever_one_answers(
    process: Process, root_and_said: tuple[Path, Said], current: str
) -> None:
    """Also where its manifest is that of the bundle which answers."""
    root, said = root_and_said
    with Wire(process.ready_address()) as wire:
        before = wire.ask(request("POST", "/admin/bundle", {"bundle": current}))
        refused = wire.ask(request("POST", "/admin/bundle", {"bundle": CORRUPT}))
        answer = wire.ask(asking_for(TEXTS))
        bundles = wire.ask(request("GET", "/admin/bundle")).json

    assert (refused.status, refused.json["code"]) == (422, "bundle_refused")
    assert f"{root / CORRUPT / INDEX} was altered" in refused.json["detail"]
    assert must_agree(answer, TEXTS, said) == before.json["bundle_id"]
    assert bundles["last_refusal"]["reason"] == refused.json["detail"]


@pytest.mark.slow
def test_a_minute_of_swaps_under_load_mixes_no_answer(
    process: Process, root_and_said: tuple[Path, Said]
) -> None:
    traffic = run_for(60, process, root_and_said)

    must_have_been_swapping(traffic, process, seconds=60)
    assert traffic.refused > 0
    assert traffic.swaps["rollback 200"] > 0

"""The rounds in which the service and its peers take turns."""

import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from service.contract import bundle as bundles
from tests.benchmarks.bundle_under_test import bundle_facts, weights_folder
from tests.benchmarks.dialects import DIALECTS
from tests.benchmarks.limit import embeddings_of, measure_limit
from tests.benchmarks.machine import machine
from tests.benchmarks.peer_report import OURS, OURS_EMBED, peer_goals
from tests.benchmarks.peer_systems import Peer, PeerError, ask_for_embeddings, running
from tests.benchmarks.process_family import memory_mb
from tests.benchmarks.software import software
from tests.benchmarks.subject import Subject
from tests.benchmarks.traffic import Texts, texts_to_send
from tests.process import service_process
from training.console import complain, say

CELLS = ((1, 1), (1, 16), (1, 64), (32, 64))
"""Queries a body and connections."""

TOLERANCE = 1e-3
"""So much may an entry of a vector differ from ours; another runtime rounds otherwise."""

HEADROOM = 1.5
COMPARED_TEXTS = 16
LIMIT_TEXTS = 2048


@dataclass(frozen=True, slots=True)
class PeerBench:
    """What all systems have in common.

    Attributes:
        folder: for logs and whatever systems write.
        bundle: whose encoder all of them serve.
        environments: of the peers.
        seconds: of a run.
    """

    folder: Path
    bundle: Path
    environments: Path
    seconds: float

    def measure(self, peers: Sequence[Peer], rounds: int) -> dict[str, Any]:
        """Return the figures of so many rounds."""
        sample = self._texts(seed=-1).take(LIMIT_TEXTS)
        sweep = measure_limit(self.bundle, sample, seconds=self.seconds / 3)
        most = HEADROOM * max(sweep["by_budget"].values())
        packed = {peer.name for peer in peers if peer.is_packed}
        found: list[dict[str, Any]] = []
        for number in range(rounds):
            limit = measure_limit(self.bundle, sample, seconds=self.seconds, budget=sweep["budget"])
            systems: dict[str, Any] = {}
            for name in (OURS, OURS_EMBED, *(peer.name for peer in peers)):
                say(f"round {number + 1} of {rounds}: {name}")
                systems[name] = self._one_system(name, peers, number, most)
            found.append({"limit": limit, "systems": systems})
        return {
            "machine": machine(),
            "software": software(),
            "load_generator": "a process of its own on the same cores as the system",
            "bundle": bundle_facts(self.bundle),
            "texts": self._texts(seed=0).what,
            "seconds": self.seconds,
            "systems": {peer.name: peer.record() for peer in peers},
            "limit": {"what": "bare ONNX Runtime + FAISS, no HTTP", **sweep},
            "rounds": found,
            "goals": [goal.record() for goal in peer_goals(found, packed)],
        }

    def _one_system(
        self, name: str, peers: Sequence[Peer], number: int, most: float
    ) -> dict[str, Any]:
        """Return the runs of one system; of one that fails, why."""
        texts = self._texts(seed=number)  # the same ones for each system
        try:
            with self._running(name, peers) as (address, process):
                if DIALECTS[name].embeddings is not None:
                    self._compare(name, address, texts.take(COMPARED_TEXTS))
                subject = Subject(name, address, texts, most)
                runs = [subject.closed_loop(*cell, self.seconds) for cell in CELLS]
                return {"memory_mb": memory_mb(process), "runs": runs}
        except (PeerError, httpx.HTTPError, subprocess.CalledProcessError) as error:
            complain(f"{name}: {error}")
            return {"failure": str(error), "runs": []}

    @contextmanager
    def _running(self, name: str, peers: Sequence[Peer]) -> Generator[tuple[str, int]]:
        """Yield address and process of a system that answers."""
        log = self.folder / f"{name}.log"
        if name in (OURS, OURS_EMBED):
            with service_process(log, "--bundle", str(self.bundle), "--port", "0") as process:
                address = process.ready_address()
                if name == OURS_EMBED and not _has_embed(address):
                    message = f"this service has no {DIALECTS[OURS_EMBED].path}"
                    raise PeerError(message)
                yield address.removeprefix("http://"), process.popen.pid
            return
        peer = next(peer for peer in peers if peer.name == name)
        with running(peer, self.environments, self.bundle, weights_folder(), log) as found:
            yield found

    def _compare(self, name: str, address: str, texts: list[str]) -> None:
        """Check that a system does the work that it is timed for."""
        given = np.asarray(ask_for_embeddings(name, address, texts))
        ours = embeddings_of(self.bundle, texts)
        apart = float(np.abs(given - ours).max()) if given.shape == ours.shape else float("inf")
        if apart > TOLERANCE:
            message = f"vectors {given.shape} differ from ours {ours.shape} by up to {apart:g}"
            raise PeerError(message)

    def _texts(self, *, seed: int) -> Texts:
        return texts_to_send(self.bundle / bundles.TOKENIZER, seed=seed)


def _has_embed(address: str) -> bool:
    return DIALECTS[OURS_EMBED].path in httpx.get(f"{address}/openapi.json").json()["paths"]

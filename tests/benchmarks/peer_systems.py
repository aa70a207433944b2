"""The peers: what each is, the environment it runs in, and its process."""

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.dialects import DIALECTS
from tests.benchmarks.load_plan import ROOT
from tests.benchmarks.process_family import end

PEERS_FOLDER = ROOT / "tests" / "benchmarks" / "peers"
START_SECONDS = 180.0
STOP_SECONDS = 15.0
SHOWN_OF_LOG = 2000
AS_OURS = "the bundle's"
MOSEC = (
    "{bin}/python mosec_server.py --address 127.0.0.1 --port {port} --timeout 120000 "
    "--log-level warning"
)


class PeerError(Exception):
    """A peer could not be installed, did not start, or does not do the work it is timed for."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another system that serves the same encoder.

    Attributes:
        name: of the peer, and of its dialect.
        home: name of its pinned requirements and of its environment.
        what: what a reader must know of the comparison.
        precision: of the weights that it runs.
        packages: those whose versions matter.
        command: run in the folder of the peers; ``{bin}``, ``{weights}``, ``{port}`` are put in.
        is_packed: whether it encodes batches packed as ours are, which is none of its own doing.
    """

    name: str
    home: str
    what: str
    precision: str
    packages: tuple[str, ...]
    command: str
    is_packed: bool = False

    @property
    def requirements(self) -> Path:
        """Return the file that pins everything the peer runs on."""
        return PEERS_FOLDER / f"{self.home}.txt"

    def record(self) -> dict[str, Any]:
        """Return what a reader of the figures must know, with the pinned versions that matter."""
        lines = self.requirements.read_text(encoding="utf-8").splitlines()
        pins = dict(line.split("==") for line in lines if "==" in line)
        versions = {name: pins[name] for name in self.packages}
        return {
            "what": self.what,
            "precision": self.precision,
            "versions": versions,
            "command": self.command,
        }


PEERS: tuple[Peer, ...] = (
    Peer(
        name="infinity",
        home="infinity",
        what="encodes only; torch engine on the checkpoint of the same weights",
        precision="fp32",
        packages=("infinity_emb", "torch", "transformers", "sentence-transformers", "uvicorn"),
        command="{bin}/infinity_emb v2 --model-id {weights} --served-model-name encoder "
        "--engine torch --device cpu --no-bettertransformer --host 127.0.0.1 --port {port}",
    ),
    Peer(
        name="mosec",
        home="mosec",
        what="encodes only; our ONNX file, a worker process for each core, batches of 8 bodies",
        precision=AS_OURS,
        packages=("mosec", "onnxruntime", "tokenizers"),
        command=MOSEC,
    ),
    Peer(
        name="mosec_packed",
        home="mosec",
        what="encodes only; as mosec, but with our packing of texts inside its workers",
        precision=AS_OURS,
        packages=("mosec", "onnxruntime", "tokenizers"),
        command=MOSEC,
        is_packed=True,
    ),
    Peer(
        name="bentoml",
        home="bentoml",
        what="encodes only; our ONNX file, adaptive batching, a worker process for each core",
        precision=AS_OURS,
        packages=("bentoml", "onnxruntime", "tokenizers"),
        command="{bin}/bentoml serve bentoml_service:Encode --host 127.0.0.1 --port {port}",
    ),
    Peer(
        name="fastembed",
        home="fastembed",
        what="encodes only; our ONNX file behind FastAPI, requests are not batched",
        precision=AS_OURS,
        packages=("fastembed", "fastapi", "onnxruntime", "tokenizers"),
        command="{bin}/python fastembed_app.py",
    ),
    Peer(
        name="tei_policy",
        home="tei_policy",
        what="encodes only; text-embeddings-inference's policy of batching written anew, not TEI",
        precision=AS_OURS,
        packages=("fastapi", "onnxruntime", "tokenizers"),
        command="{bin}/python tei_policy_app.py",
    ),
)


def install(peer: Peer, environments: Path, *, torch_index: str | None) -> None:
    """Make the peer's environment where it is not there yet.

    Raises:
        PeerError: if a package cannot be had.
    """
    folder = environments / peer.home
    mark = folder / "installed.txt"
    wanted = peer.requirements.read_text(encoding="utf-8")
    if not mark.is_file() or mark.read_text(encoding="utf-8") != wanted:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
        index = ["--extra-index-url", torch_index] if torch_index else []
        _run([*pip, *index, "--requirement", str(peer.requirements)])
        mark.write_text(wanted, encoding="utf-8")


@contextmanager
def running(
    peer: Peer, environments: Path, bundle: Path, weights: Path, log: Path
) -> Generator[tuple[str, int]]:
    """Yield host and port of a peer that answers, and its process; it is ended after.

    Raises:
        PeerError: if it does not answer in time.
    """
    port = _free_port()
    programs = environments.resolve() / peer.home / "bin"
    filled = peer.command.format(bin=programs, weights=weights, port=port)
    with log.open("wb") as output:
        popen = subprocess.Popen(  # noqa: S603  # commands of the table above
            shlex.split(filled),
            cwd=PEERS_FOLDER,
            env=_environment(peer, bundle, port, log.parent),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_it_answers(peer, port, popen, log)
        yield f"127.0.0.1:{port}", popen.pid
    finally:
        end(popen, patience_seconds=STOP_SECONDS)


def ask_for_embeddings(dialect: str, address: str, texts: list[str]) -> list[list[float]]:
    """Return the vectors that a system gives for ``texts``.

    Raises:
        httpx.HTTPError: if it gives none.
    """
    asked = DIALECTS[dialect]
    assert asked.embeddings is not None, f"{dialect} returns no vectors"
    url = f"http://{address}{asked.path}"
    answer = httpx.post(url, json=asked.body(texts), timeout=30).raise_for_status()
    return asked.embeddings(answer.json())


def _environment(peer: Peer, bundle: Path, port: int, home: Path) -> Mapping[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SUREMATCH_")}
    packed = {"BENCH_PACKED": "1"} if peer.is_packed else {}
    return (
        kept
        | packed
        | {
            "BENCH_BUNDLE": str(bundle.resolve()),
            "BENCH_PORT": str(port),
            "BENTOML_HOME": str(home / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
            "HF_HUB_OFFLINE": "1",
            "INFINITY_ANONYMOUS_USAGE_STATS": "0",
            "INFINITY_HOME": str(home / "infinity"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
    )


def _wait_until_it_answers(peer: Peer, port: int, popen: subprocess.Popen[Any], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and popen.poll() is None:
        try:
            ask_for_embeddings(peer.name, f"127.0.0.1:{port}", ["warm up"])
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    said = log.read_text(encoding="utf-8", errors="replace")[-SHOWN_OF_LOG:]
    message = f"{peer.name} does not answer; its last words: {said}"
    raise PeerError(message)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        message = f"{' '.join(command)} failed: {done.stderr.strip()[-SHOWN_OF_LOG:]}"
        raise PeerError(message)

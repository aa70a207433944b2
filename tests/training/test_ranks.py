"""Several processes on one run: on a CPU, as `torchrun` starts them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from service.contract.errors import ConfigError
from tests.command_line import ROOT
from tests.tiny_data import COLOURS, KINDS, SPLIT_OF_OFFER, tiny_config, weights
from tests.tiny_encoder import write_tiny_encoder
from tests.training.tiny_runs import AUTO_MARGINS, HEADS, MINED, lines_without_clock
from training.checkpoint import STATE, load_checkpoint
from training.config import Config
from training.data.folders import DataFolder, read_data_folder
from training.data.table_writer import write_table
from training.loop import fit
from training.ranks import Ranks, join_ranks, leave_ranks
from training.run_log import read_log

CPU = torch.device("cpu")
WORDS = ["new", "boxed", "sealed", "warranty", "shipping", "original", "grade", "fast", "parcel"]

EVERYTHING = (*HEADS, *AUTO_MARGINS, *MINED)
LOSSES, WEIGHTS = 1e-5, 1e-4
"""How far two processes may be from one; their gradients are the same sums in another order.

Found were 3e-6 and 4e-6 after fifty steps. All queries are one neighbourhood: a rounding error
in the cut between two would put a query elsewhere, and such a run goes its own way.
"""


@given(world=st.integers(1, 9), pieces=st.integers(0, 40))
def test_every_piece_of_work_has_one_owner_and_all_have_about_as_many(
    world: int, pieces: int
) -> None:
    owned = [
        [piece for piece in range(pieces) if Ranks(rank, world).owns(piece)]
        for rank in range(world)
    ]

    assert sorted(piece for some in owned for piece in some) == list(range(pieces))
    assert max(map(len, owned)) - min(map(len, owned)) <= 1


def test_one_process_adds_up_and_agrees_with_nobody() -> None:
    ranks, tensor = Ranks(), torch.tensor([1.0, 2.0])
    ranks.add_up([tensor])
    ranks.wait()

    assert ranks.is_main
    assert tensor.tolist() == [1.0, 2.0]
    assert ranks.agree(tensor) is tensor
    assert [ranks.any(flag) for flag in (True, False)] == [True, False]


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)

    assert join_ranks(CPU) == Ranks(0, 1)
    leave_ranks()


def test_the_environment_of_torchrun_in_part_only_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("WORLD_SIZE", raising=False)

    with pytest.raises(ConfigError, match=r"did not find each other .*WORLD_SIZE.*use torchrun"):
        join_ranks(CPU)


def test_torchrun_may_start_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", **place}.items():
        monkeypatch.setenv(name, value)
    try:
        ranks = join_ranks(CPU)
        tensor = torch.tensor([3.0])
        ranks.add_up([tensor])

        assert (ranks, join_ranks(CPU)) == (Ranks(0, 1), Ranks(0, 1))
        assert tensor.tolist() == [3.0]
    finally:
        leave_ranks()


@pytest.fixture(scope="module")
def long_data(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """Tiny data with texts so long that a step takes several passes through the encoder."""
    folder = tmp_path_factory.mktemp("long")
    products = [(f"p-{k}-{c}", f"Acme {k} {c}") for k in KINDS for c in COLOURS]
    offers = [
        (f"{name}-{n}", f"{title} {n} {' '.join((WORDS[n:] + WORDS) * 2)}", name, split)
        for name, title in products
        for n, split in enumerate(SPLIT_OF_OFFER)
    ]
    write_table(folder / "products.csv", ("product_id", "title"), products)
    write_table(folder / "matches.csv", ("query_id", "text", "product_id", "split"), offers)
    return read_data_folder(folder)


@pytest.fixture(scope="module")
def long_encoder(tmp_path_factory: pytest.TempPathFactory, long_data: DataFolder) -> Path:
    texts = long_data.products.texts(("title",)) + [query.text for query in long_data.queries]
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"), texts)


@pytest.mark.slow
def test_two_processes_train_prime_as_one_does_and_one_of_them_writes(
    tmp_path: Path, long_data: DataFolder, long_encoder: Path
) -> None:
    propensity = ("objective.base=prime", "batches.positives=inverse_propensity")
    config = _config(long_encoder, *propensity, *EVERYTHING)
    fit(config, long_data, tmp_path / "alone")
    with _two_processes(config, long_data, tmp_path / "together") as processes:
        said, complaints = processes.communicate(timeout=300)

    assert processes.returncode == 0, complaints
    assert said.count("training on 90 queries") == said.count("2 processes") == 1
    assert said.count("checkpoint written") == 1
    _must_agree(tmp_path / "together", tmp_path / "alone")
    assert {path.name for path in (tmp_path / "together").iterdir()} == {
        path.name for path in (tmp_path / "alone").iterdir()
    }


@pytest.mark.slow
def test_two_processes_follow_a_teacher_as_one_does(
    tmp_path: Path, long_data: DataFolder, long_encoder: Path
) -> None:
    """Each computes the teacher's embeddings of its own chunks; with prefixes and one layer."""
    config = _config(
        long_encoder,
        *EVERYTHING,
        "encoder.layers=1",
        "matryoshka.dims=[8]",
        f"distillation.teacher={long_encoder}",
        "distillation.alone_ratio=0.2",
        "distillation.cache_mb=0",
    )
    fit(config, long_data, tmp_path / "alone")
    with _two_processes(config, long_data, tmp_path / "together") as processes:
        _, complaints = processes.communicate(timeout=300)

    assert processes.returncode == 0, complaints
    _must_agree(tmp_path / "together", tmp_path / "alone")


@pytest.mark.slow
def test_a_signal_to_the_launcher_leaves_a_state_from_which_one_process_goes_on(
    tmp_path: Path, long_data: DataFolder, long_encoder: Path
) -> None:
    """The two are stopped where margin and heads act already, and agree with one up to there."""
    config, out = _config(long_encoder, *EVERYTHING, "run.epochs=25"), tmp_path / "together"
    fit(config, long_data, tmp_path / "alone")
    with _two_processes(config, long_data, out) as processes:
        until = time.monotonic() + 120
        while sum("terms" in line for line in read_log(out / "log.jsonl")) < 20:
            assert processes.poll() is None, processes.communicate()
            assert time.monotonic() < until
            time.sleep(0.01)
        processes.send_signal(signal.SIGTERM)
        processes.communicate(timeout=120)

    assert processes.returncode != 0
    assert 20 <= torch.load(out / STATE, weights_only=True)["step"] < 50
    fit(config, long_data, out)

    _must_agree(out, tmp_path / "alone")


def _config(encoder: Path, *overrides: str) -> Config:
    return tiny_config(
        encoder,
        "encoder.max_tokens=64",
        "run.batch_size=48",
        "batches.neighbours=90",
        "run.epochs=5",
        "run.device=cpu",
        "optimiser.learning_rate=2e-3",
        *overrides,
    )


@contextmanager
def _two_processes(config: Config, data: DataFolder, out: Path) -> Generator[subprocess.Popen[str]]:
    """Yield the launcher of two processes that train; it is ended if it still runs."""
    recipe = out.with_suffix(".toml")
    recipe.write_text(config.to_toml())
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", _free_port()]
    training = ["-m", "training", "fit", "--data", data.path, "--config", recipe, "--out", out]
    words = [sys.executable, "-m", *map(str, launcher), *map(str, training)]
    processes = subprocess.Popen(  # noqa: S603  # our own module
        words,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield processes
    finally:
        if processes.poll() is None:
            processes.terminate()  # it ends its processes, which a kill would leave behind
            processes.communicate(timeout=60)


def _must_agree(one: Path, other: Path) -> None:
    lines, others = lines_without_clock(one), lines_without_clock(other)
    assert [line["step"] for line in lines] == [line["step"] for line in others]
    for line, expected in zip(lines, others, strict=True):
        assert line.get("terms") == pytest.approx(expected.get("terms"), abs=LOSSES)
    assert _distance(one, other) <= WEIGHTS


def _distance(one: Path, other: Path) -> float:
    """Return the largest difference of any weight, or of any entry of a product's vector."""
    ours, theirs = weights(one), weights(other)
    differences = [(ours[name] - theirs[name]).abs().max() for name in ours]
    vectors, others = (load_checkpoint(out).product_vectors for out in (one, other))
    assert (vectors is None) == (others is None)
    if vectors is not None and others is not None:
        assert vectors.row_of == others.row_of
        differences.append(torch.from_numpy(abs(vectors.vectors - others.vectors)).max())
    return float(torch.stack(differences).max())


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

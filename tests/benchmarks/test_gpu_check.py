"""The check of a GPU: refused where there is none, and its measuring code run on the CPU."""

import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest
from jaxtyping import Float32

from service.contract import bundle as bundles
from service.contract.tokens import TextTokeniser
from service.encoder import Encoder
from service.onnx_session import Device
from service.retrievers import FlatRetriever, Retriever
from service.retrievers.exact_vectors import ArrayVectors
from service.retrievers.gpu import GpuRetriever, OwnerThread
from tests.accelerator import HAS_GPU
from tests.benchmarks.gpu_check import Check, Extent
from tests.benchmarks.gpu_encode import encode_rates, hand_over_rates, runs_a_second
from tests.benchmarks.gpu_search import exact_on_cpu, products, search_figures
from tests.benchmarks.gpu_served import memory_over_swaps, served_figures
from tests.tiny import PRODUCTS, write_bundle

ROOT = Path(__file__).parent.parent.parent
TEXTS = [title for _, title, _ in PRODUCTS]
SHORT = Extent(seconds=0.0, batch_sizes=(1, 4), products=(300,), swaps=2)
UNWANTED = ("torch", "transformers", "scipy", "sklearn", "matplotlib")


def encoder_of(folder: Path, *, in_place: bool = False) -> Encoder:
    tokeniser = TextTokeniser.from_file(folder / bundles.TOKENIZER)
    return Encoder(folder / bundles.ENCODER, tokeniser, workers=1, in_place=in_place)


def through_a_device(vectors: Float32[np.ndarray, "product dim"]) -> Retriever:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return GpuRetriever(index, ArrayVectors(vectors), owner=OwnerThread(), family="flat")


@pytest.mark.skipif(HAS_GPU, reason="here is a GPU")
def test_without_a_gpu_the_command_says_so_in_one_line_and_needs_no_torch(tmp_path: Path) -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({UNWANTED!r}))"
    command = (
        f"{blocked}; from tests.benchmarks.gpu_check import main; sys.exit(main(sys.argv[1:]))"
    )

    done = subprocess.run(  # noqa: S603  # our own module
        [sys.executable, "-c", command, "--json", str(tmp_path / "gpu.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("error: no GPU to check: ")
    assert "needed is" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not (tmp_path / "gpu.json").exists()


def test_work_is_done_at_least_once_after_its_warm_up() -> None:
    done: list[int] = []

    rate = runs_a_second(lambda: done.append(1), seconds=0.0)

    assert len(done) == 3
    assert rate > 0


def test_every_encoder_is_rated_and_held_to_the_first(tmp_path: Path, tiny_bundle: Path) -> None:
    other = write_bundle(tmp_path / "other", seed=1).folder
    encoders = {name: encoder_of(folder) for name, folder in (("a", tiny_bundle), ("b", other))}

    figures = encode_rates({**encoders, "c": encoders["a"]}, TEXTS, batch_sizes=(1, 8), seconds=0)

    assert list(figures) == ["a", "b", "c"]
    assert [figures[name]["largest_difference"] == 0 for name in "abc"] == [True, False, True]
    assert all(list(figures[name]["tokens_a_second"]) == ["1", "8"] for name in "abc")


def test_vectors_are_handed_over_in_place_and_by_copy(tiny_bundle: Path) -> None:
    encoder = encoder_of(tiny_bundle, in_place=True)
    retriever = through_a_device(encoder.embed(TEXTS))

    figures = hand_over_rates(encoder, retriever, TEXTS, batch_sizes=(1, 8), seconds=0.0)

    assert list(figures) == ["1", "8"]
    assert all(
        list(of_size) == ["in_place_texts_a_second", "copied_texts_a_second"]
        for of_size in figures.values()
    )


def test_an_encoder_that_leaves_nothing_on_the_device_is_no_measurement(tiny_bundle: Path) -> None:
    encoder = encoder_of(tiny_bundle)
    retriever = through_a_device(encoder.embed(TEXTS))

    with pytest.raises(RuntimeError, match="left no vectors on the device"):
        hand_over_rates(encoder, retriever, TEXTS, batch_sizes=(1,), seconds=0.0)


def test_indices_are_rated_beside_the_exact_one_and_one_that_fails_is_told() -> None:
    def half(vectors: Float32[np.ndarray, "product dim"]) -> Retriever:
        return through_a_device(vectors[::2].copy())

    def broken(_vectors: Float32[np.ndarray, "product dim"]) -> FlatRetriever:
        message = "out of memory"
        raise RuntimeError(message)

    indices = {"same": exact_on_cpu, "half": half, "broken": broken}
    figures, failures = search_figures(
        products(300, dim=16), indices, batch_sizes=(1, 8), seconds=0.0
    )

    assert [figures[name]["recall_at_10"] for name in ("cpu IndexFlatIP", "same")] == [1, 1]
    assert 0 < figures["half"]["recall_at_10"] < 1
    assert failures == ["search in 300 by broken: out of memory"]


def test_invented_products_are_unit_vectors_in_blocks_that_differ() -> None:
    vectors = products(40_001, dim=4)

    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert not np.array_equal(vectors[:20_000], vectors[20_000:40_000])


def test_memory_is_read_once_a_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", seed=1).folder
    readings = iter(range(100, 200))

    used = memory_over_swaps(
        [tiny_bundle, other], swaps=3, device=Device.CPU, used_mib=lambda: next(readings)
    )

    assert used == [100, 101, 102, 103]


def test_encoding_and_searching_run_on_the_cpu_as_they_will_on_a_gpu(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    check = Check([tiny_bundle], tmp_path, SHORT, Device.CPU, {"again": exact_on_cpu})

    encoded, searched = check.encode(), check.search(300)

    assert list(encoded) == ["cpu fp32", f"cpu fp32, {tiny_bundle.name}"]
    assert list(searched) == ["cpu IndexFlatIP", "again", "failures"]
    assert list(check.sections()) == [
        "tests",
        "encode",
        "hand_over",
        "search_300",
        "served",
        "swaps",
    ]


@pytest.mark.slow
def test_the_service_is_measured_as_a_process(tiny_bundle: Path, tmp_path: Path) -> None:
    figures = served_figures(
        tiny_bundle, tmp_path, device=Device.CPU, seconds=0.5, number_of_texts=500
    )

    assert len(figures) == 3
    assert all(figures.values())

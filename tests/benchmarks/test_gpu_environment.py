"""What is said of a machine before its GPU is checked."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.gpu_environment import (
    PROVIDER,
    Card,
    Surroundings,
    cuda_majors,
    look_around,
    parse_cards,
    problems_of,
)

THIRTEEN = {"onnxruntime-gpu": "1.31.1", "faiss-gpu-cuvs": "1.15.1", "libcuvs-cu13": "26.6.0"}
WHOLE = Surroundings(
    cards=(Card("NVIDIA L4", "580.65.06", 23034, 512),),
    packages={**THIRTEEN, "numpy": "2.4.6"},
    providers=(PROVIDER, "CPUExecutionProvider"),
    faiss_lacks=(),
    faiss_gpus=1,
)


@pytest.mark.parametrize(
    ("name", "version", "major"),
    [
        ("onnxruntime-gpu", "1.31.1", 13),
        ("onnxruntime-gpu", "1.27.0", 13),
        ("onnxruntime-gpu", "1.26.0", 12),
        ("onnxruntime-gpu", "1.9.0", 12),
        ("faiss-gpu-cuvs", "1.15.1", 13),
        ("faiss-gpu", "1.15.1", 12),
        ("faiss-gpu-cu12", "1.9.0", 12),
        ("libcuvs-cu13", "26.6.0", 13),
        ("nvidia-cudnn-cu13", "9.28.0.42", 13),
        ("nvidia-cuda-runtime", "13.5.37", 13),
        ("cuda-toolkit", "13.4.3", 13),
        ("torch", "2.13.0+cu130", 13),
        ("torch", "2.6.0+cu124", 12),
    ],
)
def test_each_package_of_cuda_shows_which_one_it_is_built_for(
    name: str, version: str, major: int
) -> None:
    assert cuda_majors({name: version}) == {name: major}


@pytest.mark.parametrize(
    ("name", "version"),
    [("onnxruntime", "1.31.1"), ("faiss-cpu", "1.15.1"), ("numpy", "2.4.6"), ("torch", "2.13.0")],
)
def test_packages_for_a_cpu_say_nothing_of_cuda(name: str, version: str) -> None:
    assert cuda_majors({name: version}) == {}


@given(
    st.dictionaries(
        st.sampled_from([f"nvidia-part-{letter}-cu{n}" for letter in "abc" for n in (11, 12, 13)]),
        st.just("1.0"),
    )
)
def test_packages_fit_together_if_and_only_if_they_are_of_one_cuda(
    packages: Mapping[str, str],
) -> None:
    majors = set(cuda_majors(packages).values())

    said = problems_of(replace(WHOLE, packages=packages))

    assert any("are mixed" in one for one in said) == (len(majors) > 1)
    assert all(f"CUDA {major} (" in said[0] for major in majors if len(majors) > 1)


def test_a_machine_that_has_everything_has_no_problem() -> None:
    assert problems_of(WHOLE) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (replace(WHOLE, cards=()), "nvidia-smi shows no NVIDIA GPU"),
        (replace(WHOLE, faiss_gpus=0), "FAISS reaches no GPU"),
        (replace(WHOLE, faiss_lacks=("GpuIndexCagra",)), "FAISS has no GpuIndexCagra"),
        (
            replace(WHOLE, providers=("CPUExecutionProvider",)),
            "ONNX Runtime has only CPUExecutionProvider, needed is CUDAExecutionProvider",
        ),
        (
            replace(WHOLE, cards=(Card("NVIDIA L4", "550.54.15", 23034, 0),)),
            "driver 550.54.15 is too old for CUDA 13, needed is 580 or newer",
        ),
        (
            replace(WHOLE, packages={**THIRTEEN, "onnxruntime": "1.31.1"}),
            "onnxruntime and onnxruntime-gpu are installed side by side",
        ),
        (
            replace(WHOLE, packages={**THIRTEEN, "nvidia-cudnn-cu12": "9.28.0"}),
            "packages for CUDA 12 (nvidia-cudnn-cu12) and CUDA 13 (faiss-gpu-cuvs,",
        ),
    ],
)
def test_each_thing_that_is_missing_is_said_alone(found: Surroundings, said: str) -> None:
    problems = problems_of(found)

    assert len(problems) == 1
    assert problems[0].startswith(said)


def test_several_cards_are_read_and_an_empty_answer_is_none() -> None:
    said = "NVIDIA H200, 580.82.07, 143771, 0\nNVIDIA H200, 580.82.07, 143771, 1024\n"

    assert [card.used_mib for card in parse_cards(said)] == [0, 1024]
    assert parse_cards("") == []


def test_this_machine_is_described() -> None:
    found = look_around()

    assert "CPUExecutionProvider" in found.providers
    assert "numpy" in found.packages

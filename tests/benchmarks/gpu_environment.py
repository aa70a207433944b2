"""What a machine has for a GPU: cards, driver and builds, and whether they fit together."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions

import faiss
import onnxruntime as ort

from service.contract.errors import ConfigError
from service.onnx_session import load_cuda_libraries
from service.packages import refuse_mixed_packages
from service.retrievers.gpu import GpuKind

PROVIDER = "CUDAExecutionProvider"
FAISS_SYMBOLS = ("StandardGpuResources", "index_cpu_to_gpu", *GpuKind)
LEAST_DRIVER = {12: 525, 13: 580}
"""Oldest driver for each first number of CUDA. Source: NVIDIA's table of CUDA compatibility."""

_QUERY = "name,driver_version,memory.total,memory.used"
_SMI_SECONDS = 60.0
_ORT_FOR_13 = (1, 27)
"""The first release of onnxruntime-gpu that is built for CUDA 13."""
_BUILT_FOR = {"faiss-gpu": 12, "faiss-gpu-cuvs": 13}
_SAME_NUMBER = ("cuda-toolkit", "nvidia-cuda-runtime")


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU, as nvidia-smi tells of it; memory in MiB."""

    name: str
    driver: str
    memory_mib: int
    used_mib: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found on a machine.

    Attributes:
        cards: GPUs that the driver shows.
        packages: versions of the installed packages, by name.
        providers: what ONNX Runtime can run on.
        faiss_lacks: what this build of FAISS has not, of `FAISS_SYMBOLS`.
        faiss_gpus: how many GPUs FAISS reaches.
    """

    cards: Sequence[Card]
    packages: Mapping[str, str]
    providers: Sequence[str]
    faiss_lacks: Sequence[str]
    faiss_gpus: int


def look_around() -> Surroundings:
    """Return what this machine and this environment have."""
    load_cuda_libraries()
    lacking = [name for name in FAISS_SYMBOLS if not hasattr(faiss, name)]
    return Surroundings(
        cards=read_cards(),
        packages=_installed(),
        providers=ort.get_available_providers(),
        faiss_lacks=lacking,
        faiss_gpus=faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0,
    )


def read_cards() -> list[Card]:
    """Return the GPUs that nvidia-smi shows; none where there is none, or no nvidia-smi."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    done = subprocess.run(  # noqa: S603  # the driver's own program
        command, stdout=subprocess.PIPE, text=True, check=False, timeout=_SMI_SECONDS
    )
    return parse_cards(done.stdout) if done.returncode == 0 else []


def parse_cards(said: str) -> list[Card]:
    """Return the GPUs of a table of nvidia-smi.

    >>> parse_cards("NVIDIA L4, 580.65.06, 23034, 512")
    [Card(name='NVIDIA L4', driver='580.65.06', memory_mib=23034, used_mib=512)]
    """
    rows = [[cell.strip() for cell in line.split(",")] for line in said.splitlines() if line]
    return [Card(name, driver, int(total), int(used)) for name, driver, total, used in rows]


def cuda_majors(packages: Mapping[str, str]) -> dict[str, int]:
    """Return the first number of the CUDA that each package is built for; others are left out."""
    found = {name: _cuda_major(name, version) for name, version in sorted(packages.items())}
    return {name: major for name, major in found.items() if major is not None}


def problems_of(found: Surroundings) -> list[str]:
    """Return what keeps a machine from a check of its GPU, a phrase each; none where it can run."""
    return [*_no_card(found), *_unfit_packages(found), *_unfit_builds(found)]


def _no_card(found: Surroundings) -> list[str]:
    return [] if found.cards else ["nvidia-smi shows no NVIDIA GPU, needed is one with its driver"]


def _unfit_packages(found: Surroundings) -> list[str]:
    try:
        refuse_mixed_packages(found.packages.keys())
    except ConfigError as error:
        return [str(error)]
    majors = cuda_majors(found.packages)
    by_major = {major: [n for n in majors if majors[n] == major] for major in majors.values()}
    if len(by_major) > 1:
        parts = [f"CUDA {major} ({', '.join(by_major[major])})" for major in sorted(by_major)]
        return [f"packages for {' and '.join(parts)} are mixed, needed is one environment for one"]
    return [
        f"driver {card.driver} is too old for CUDA {major}, "
        f"needed is {LEAST_DRIVER[major]} or newer"
        for major in by_major
        for card in found.cards
        if major in LEAST_DRIVER and _numbers(card.driver)[0] < LEAST_DRIVER[major]
    ]


def _unfit_builds(found: Surroundings) -> list[str]:
    said: list[str] = []
    if PROVIDER not in found.providers:
        said.append(f"ONNX Runtime has only {', '.join(found.providers)}, needed is {PROVIDER}")
    if found.faiss_lacks:
        said.append(f"FAISS has no {', '.join(found.faiss_lacks)}, needed is faiss-gpu-cuvs")
    elif not found.faiss_gpus:
        said.append("FAISS reaches no GPU, needed is one that it may use")
    return said


def _cuda_major(name: str, version: str) -> int | None:
    marked = re.search(r"-cu(\d\d)$", name) or re.search(r"\+cu(\d\d)", version)
    if marked:
        return int(marked[1])
    if name in _SAME_NUMBER:
        return _numbers(version)[0]
    if name == "onnxruntime-gpu":
        return 13 if _numbers(version) >= _ORT_FOR_13 else 12
    return _BUILT_FOR.get(name)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _installed() -> dict[str, str]:
    named = [(package.metadata["Name"], package.version) for package in distributions()]
    return {name.lower().replace("_", "-"): version for name, version in named if name}

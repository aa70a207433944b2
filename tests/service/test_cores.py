import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cores import NATIVE_THREADS, available_cores, limit_native_threads

ROOT = Path(__file__).parents[2]
MANY = 1000
"""Cores of an affinity mask that limits nothing."""


class Kernel:
    """Writes what a kernel tells of one process: its groups, where they are mounted, its quotas."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.mount = folder / "sys"
        (self.proc / "self").mkdir(parents=True)

    def version_2(self, group: str, *, root: str = "/") -> None:
        self._write(f"0::{group}", f"31 23 0:28 {root} {self.mount} rw shared:9 - cgroup2 none rw")

    def version_1(self, group: str, *, root: str = "/") -> None:
        lines = f"5:memory:/elsewhere\n4:cpu,cpuacct:{group}\n0::/unused"
        mounts = (
            f"30 23 0:27 {root} {self.mount}/memory rw - cgroup cgroup rw,memory\n"
            f"31 23 0:28 {root} {self.mount} rw,relatime - cgroup cgroup rw,cpu,cpuacct"
        )
        self._write(lines, mounts)

    def maximum(self, group: str, content: str) -> None:
        self._file(group, "cpu.max", content)

    def quota(self, group: str, quota: str, period: str = "100000") -> None:
        self._file(group, "cpu.cfs_quota_us", quota)
        self._file(group, "cpu.cfs_period_us", period)

    def cores(self, affinity: int = MANY) -> int:
        return available_cores(proc=self.proc, affinity=affinity)

    def _write(self, groups: str, mounts: str) -> None:
        (self.proc / "self/cgroup").write_text(groups + "\n")
        (self.proc / "self/mountinfo").write_text(f"20 1 8:1 / / rw - ext4 /dev/x rw\n{mounts}\n")

    def _file(self, group: str, name: str, content: str) -> None:
        folder = self.mount / group.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content + "\n")


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


@pytest.mark.parametrize(
    ("content", "cores"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("1000 100000", 1),
        ("100001 100000", 2),
        ("400000 50000", 8),
        ("max 100000", MANY),
    ],
)
def test_the_quota_of_the_own_group_is_rounded_up(kernel: Kernel, content: str, cores: int) -> None:
    kernel.version_2("/app")
    kernel.maximum("/app", content)

    assert kernel.cores() == cores


@pytest.mark.parametrize(
    "limited", ["/", "/kubepods", "/kubepods/pod7", "/kubepods/pod7/container"]
)
def test_the_least_quota_of_all_groups_above_counts(kernel: Kernel, limited: str) -> None:
    kernel.version_2("/kubepods/pod7/container")
    for group in ("/", "/kubepods", "/kubepods/pod7", "/kubepods/pod7/container"):
        kernel.maximum(group, "300000 100000" if group == limited else "900000 100000")

    assert kernel.cores() == 3


def test_the_quota_of_a_group_beside_does_not_count(kernel: Kernel) -> None:
    kernel.version_2("/app")
    kernel.maximum("/app", "400000 100000")
    kernel.maximum("/other", "100000 100000")
    kernel.maximum("/app/child", "100000 100000")

    assert kernel.cores() == 4


@pytest.mark.parametrize(("quota", "cores"), [("250000", 3), ("-1", MANY), ("0", MANY)])
def test_quotas_of_version_1_are_read(kernel: Kernel, quota: str, cores: int) -> None:
    kernel.version_1("/docker/abc")
    kernel.quota("/docker/abc", quota)
    kernel.quota("/", "-1")

    assert kernel.cores() == cores


def test_a_group_above_limits_in_version_1_as_well(kernel: Kernel) -> None:
    kernel.version_1("/docker/abc")
    kernel.quota("/docker/abc", "800000")
    kernel.quota("/docker", "500000")

    assert kernel.cores() == 5


def test_a_container_that_sees_its_own_group_as_the_top_is_limited(kernel: Kernel) -> None:
    kernel.version_1("/docker/abc/worker", root="/docker/abc")
    kernel.quota("/", "700000")
    kernel.quota("/worker", "600000")

    assert kernel.cores() == 6


@pytest.mark.parametrize("group", ["/somewhere/else", "/../neighbour", "no path", "", "/\0"])
def test_a_group_outside_the_mount_gets_the_quota_of_its_top(kernel: Kernel, group: str) -> None:
    kernel.version_2(group, root="/docker/abc" if group == "/somewhere/else" else "/")
    kernel.maximum("/", "200000 100000")
    kernel.maximum("/../neighbour", "100000 100000")

    assert kernel.cores() == 2


@pytest.mark.parametrize(("affinity", "cores"), [(1, 1), (2, 2), (3, 3), (8, 3), (0, 1)])
def test_the_affinity_mask_limits_what_the_quota_allows(
    kernel: Kernel, affinity: int, cores: int
) -> None:
    kernel.version_2("/")
    kernel.maximum("/", "300000 100000")

    assert kernel.cores(affinity) == cores


@pytest.mark.parametrize(
    "content",
    ["", "many", "100000", "1 2 3", "100000 0", "100000 -5", "nan 100000", "9" * 5000, "0x10 1"],
)
def test_garbage_in_a_quota_is_no_quota(kernel: Kernel, content: str) -> None:
    kernel.version_2("/app")
    kernel.maximum("/app", content)

    assert kernel.cores() == MANY


def test_a_folder_in_place_of_a_file_is_no_quota(kernel: Kernel) -> None:
    kernel.version_2("/")
    (kernel.mount / "cpu.max").mkdir(parents=True)

    assert kernel.cores() == MANY


def test_without_control_groups_the_affinity_mask_alone_counts(tmp_path: Path) -> None:
    assert available_cores(proc=tmp_path, affinity=3) == 3


@given(cgroup=st.binary(max_size=60), mountinfo=st.binary(max_size=60))
def test_no_bytes_the_kernel_could_say_break_it(
    tmp_path_factory: pytest.TempPathFactory, cgroup: bytes, mountinfo: bytes
) -> None:
    proc = tmp_path_factory.mktemp("proc")
    (proc / "self").mkdir()
    (proc / "self/cgroup").write_bytes(b"0::" + cgroup)
    (proc / "self/mountinfo").write_bytes(b"1 1 1:1 / " + mountinfo + b" - cgroup2 none rw\n")

    assert available_cores(proc=proc, affinity=3) in {1, 2, 3}


def test_this_process_gets_no_more_cores_than_its_affinity_mask() -> None:
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))


def test_every_variable_is_set_that_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NATIVE_THREADS:
        monkeypatch.setenv(name, "to be put back")
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")

    limit_native_threads()

    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
    assert os.environ["RAYON_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"


ASK_THE_LIBRARIES = """
import os
from service.cores import limit_native_threads
limit_native_threads()
import faiss, numpy, tokenizers
tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
tokenizer.encode_batch(["a a"] * 1000)
tokens = len(os.listdir("/proc/self/task"))
index = faiss.IndexFlatIP(64)
vectors = numpy.ones((256, 64), dtype="float32")
index.add(vectors)
index.search(vectors, 3)
print(faiss.omp_get_max_threads(), tokens, len(os.listdir("/proc/self/task")))
"""


def ask_the_libraries(**variables: str) -> list[int]:
    inherited = {k: v for k, v in os.environ.items() if k not in NATIVE_THREADS}
    answer = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-c", ASK_THE_LIBRARIES],
        cwd=ROOT,
        env=inherited | variables,
        capture_output=True,
        check=True,
        text=True,
    )
    return [int(word) for word in answer.stdout.split()]


def test_the_libraries_start_no_threads_of_their_own() -> None:
    assert ask_the_libraries() == [1, 1, 1]


def test_what_an_operator_sets_wins() -> None:
    openmp, tokens, everything = ask_the_libraries(
        TOKENIZERS_PARALLELISM="true", RAYON_NUM_THREADS="2", OMP_NUM_THREADS="3"
    )

    assert openmp == 3
    assert tokens >= 1 + 2
    assert everything > tokens

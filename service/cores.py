"""The cores that this process may use, and the threads that libraries may start on them."""

import os
from collections.abc import Generator
from pathlib import Path, PurePosixPath

PROC = Path("/proc")
NATIVE_THREADS = {
    "TOKENIZERS_PARALLELISM": "false",  # tokenizers
    "RAYON_NUM_THREADS": "1",  # tokenizers again, where somebody switches it on
    "OMP_NUM_THREADS": "1",  # FAISS, the BLAS libraries, PyArrow's pool of computing threads
}
"""Variables that the native libraries size their pools by."""


def available_cores(*, proc: Path = PROC, affinity: int | None = None) -> int:
    """Return the number of cores this process may use, at least 1.

    It is the least of the affinity mask and the CPU quotas of the process's control group and
    of every group above it, each rounded up to whole cores. What cannot be read limits nothing.

    Args:
        proc: where the kernel tells about processes.
        affinity: cores of the affinity mask; asked of the kernel if None.
    """
    allowed = len(os.sched_getaffinity(0)) if affinity is None else affinity
    quotas = (
        quota
        for mount, group, is_unified in _hierarchies(proc)
        for folder in _up_to(mount, group)
        if (quota := _quota(folder, is_unified=is_unified)) is not None
    )
    return max(1, min((allowed, *quotas)))


def limit_native_threads() -> None:
    """Keep the native libraries from starting a thread for every core of the host.

    The service's workers are its parallelism: each calls the libraries from one thread, so a
    pool inside a call would only make the cores fight. Variables that are set already stay as
    they are. To be called before FAISS and NumPy are imported: they read them once.
    """
    for name, value in NATIVE_THREADS.items():
        os.environ.setdefault(name, value)


def _hierarchies(proc: Path) -> Generator[tuple[Path, PurePosixPath, bool]]:
    """Yield each place where CPU quotas are: mount, own group below it, true for version 2."""
    groups = dict(_own_groups(_lines(proc / "self/cgroup")))
    for line in _lines(proc / "self/mountinfo"):
        left, _, right = line.partition(" - ")
        where, what = left.split(), right.split()
        if len(where) < 5 or len(what) < 3:  # noqa: PLR2004  # fields, as in proc_pid_mountinfo(5)
            continue
        is_unified = what[0] == "cgroup2"
        if is_unified or (what[0] == "cgroup" and "cpu" in what[2].split(",")):
            group = groups.get(is_unified, PurePosixPath("/"))
            yield Path(where[4]), _below(group, PurePosixPath(where[3])), is_unified


def _own_groups(lines: list[str]) -> Generator[tuple[bool, PurePosixPath]]:
    """Yield the groups of this process that have CPU quotas; true with that of version 2."""
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield True, PurePosixPath(path)
        elif "cpu" in controllers.split(","):
            yield False, PurePosixPath(path)


def _below(group: PurePosixPath, mounted: PurePosixPath) -> PurePosixPath:
    """Return where a group is below the mount of ``mounted``; its top if it is elsewhere."""
    if not group.is_relative_to(mounted):
        return PurePosixPath()
    path = group.relative_to(mounted)
    return PurePosixPath() if ".." in path.parts else path


def _up_to(mount: Path, group: PurePosixPath) -> Generator[Path]:
    """Yield the folders of a group and of every group above it."""
    for path in (group, *group.parents):
        yield mount / path


def _quota(folder: Path, *, is_unified: bool) -> int | None:
    """Return the quota of one group in cores, rounded up; None where it has none."""
    names = ("cpu.max",) if is_unified else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    words = [word for name in names for line in _lines(folder / name) for word in line.split()]
    try:
        quota, period = (int(word) for word in words)  # "max" is no number: no quota
        cores = -(-quota // period)
    except (ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None  # version 1 writes -1 for no quota


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):  # the latter for a path with a null byte
        return []

"""Which kind of CPU this is, as far as an int8 encoder's numbers and speed depend on it."""

from enum import StrEnum
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
_MULTIPLIES_INT8 = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


class CpuKind(StrEnum):
    """Whether a CPU has instructions that multiply U8 with S8 and add in 32 bits."""

    VNNI = "vnni"
    PLAIN = "plain"  # they are put together from others, and ONNX Runtime uses other kernels


def cpu_kind(cpuinfo: Path = CPUINFO) -> CpuKind:
    """Return the kind of this machine's CPU; what cannot be read has no such instructions.

    Args:
        cpuinfo: where the kernel lists what the CPU can do.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return CpuKind.PLAIN
    flags = next((line for line in lines if line.startswith("flags")), "")
    has_vnni = not _MULTIPLIES_INT8.isdisjoint(flags.split())
    return CpuKind.VNNI if has_vnni else CpuKind.PLAIN

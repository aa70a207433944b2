"""The machine that figures come from: a time without it says little."""

import platform
from pathlib import Path

from training.study.processes import usable_cores

_CPU_INFO = Path("/proc/cpuinfo")


def machine_facts() -> dict[str, str | int]:
    """Return processor, cores in use and Python version of this machine."""
    return {
        "processor": _processor(),
        "cores": len(usable_cores()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    """Return the processor's name as the kernel gives it, else as Python does."""
    lines = _CPU_INFO.read_text(encoding="utf-8").splitlines() if _CPU_INFO.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or "unknown")

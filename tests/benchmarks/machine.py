"""What a benchmark was measured on."""

import platform
import time
from pathlib import Path

from service.encoder import available_cores


def machine() -> dict[str, object]:
    """Return what the figures were measured on."""
    model = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": model[0] if model else platform.processor(),
        "cores": available_cores(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }

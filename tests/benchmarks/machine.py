"""What a benchmark was measured on."""

import time

from service.cores import available_cores
from training.study.machine import machine_facts


def machine() -> dict[str, object]:
    """Return what the figures were measured on, and when."""
    # a server is held to its CPU quota as well, not to the affinity mask alone
    return {**machine_facts(), "cores": available_cores(), "date": time.strftime("%Y-%m-%d")}

"""Values of panels as people read them."""

import math

from deploy.dashboards.panel import Unit

_MEBIBYTE = 2**20
_DAY = 86400


def worded(value: float, unit: Unit) -> str:
    """Return a value with its unit, short enough for an axis.

    >>> [worded(0.123, Unit.SHARE), worded(0.0042, Unit.SECONDS), worded(3e8, Unit.BYTES)]
    ['12.3 %', '4.2 ms', '286 MiB']
    """
    if math.isnan(value):
        return "none"
    if unit is Unit.SHARE:
        return f"{100 * value:.3g} %"
    if unit is Unit.SECONDS:
        return f"{1000 * value:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
    if unit is Unit.AGE:
        return f"{value / _DAY:.1f} d" if value >= _DAY else f"{value / 60:.0f} min"
    if unit is Unit.BYTES:
        return f"{value / _MEBIBYTE:.0f} MiB"
    return f"{value:.3g}" + (" /s" if unit is Unit.PER_SECOND else "")

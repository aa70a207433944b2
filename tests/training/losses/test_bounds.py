from collections.abc import Callable

import pytest

from training.losses.bounds import require_above, require_at_least, require_between

Require = Callable[[float], None]


def at_least(value: float) -> None:
    require_at_least("margin", value, 0)


def above(value: float) -> None:
    require_above("margin", value, 0)


def between(value: float) -> None:
    require_between("margin", value, 0, 1)


@pytest.mark.parametrize(
    ("require", "value"),
    [(at_least, 0), (at_least, 7.5), (above, 1e-9), (between, 0), (between, 0.999)],
)
def test_a_setting_within_its_range_passes(require: Require, value: float) -> None:
    require(value)


@pytest.mark.parametrize(
    ("require", "value", "message"),
    [
        (at_least, -1e-9, "margin is -1e-09, it must be at least 0"),
        (above, 0, "margin is 0, it must be above 0"),
        (above, -1.5, "margin is -1.5, it must be above 0"),
        (between, -0.1, "margin is -0.1, it must be at least 0 and below 1"),
        (between, 1, "margin is 1, it must be at least 0 and below 1"),
    ],
)
def test_a_setting_outside_its_range_is_refused_by_name(
    require: Require, value: float, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        require(value)

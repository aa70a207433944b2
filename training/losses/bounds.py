"""Refuses settings of an objective that are outside their range."""

Number = int | float  # said apart, since types are checked while tests run


def require_at_least(name: str, value: Number, least: Number) -> None:
    """Refuse a setting below ``least``.

    Raises:
        ValueError: if it is; the message names the setting.
    """
    if value < least:
        message = f"{name} is {value}, it must be at least {least}"
        raise ValueError(message)


def require_above(name: str, value: Number, bound: Number) -> None:
    """Refuse a setting that is not above ``bound``.

    Raises:
        ValueError: if it is not; the message names the setting.
    """
    if value <= bound:
        message = f"{name} is {value}, it must be above {bound}"
        raise ValueError(message)


def require_between(name: str, value: Number, least: Number, bound: Number) -> None:
    """Refuse a setting outside [least, bound).

    Raises:
        ValueError: if it is; the message names the setting.
    """
    if not least <= value < bound:
        message = f"{name} is {value}, it must be at least {least} and below {bound}"
        raise ValueError(message)

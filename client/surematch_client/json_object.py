"""An object of an answer's JSON, read key by key with the type that each must have."""

import json
import sys
from collections.abc import Mapping
from typing import NoReturn, TypeGuard, cast

from surematch_client.errors import InvalidResponseError

ADVICE = "check what answers at this address, or update the client"

_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a flag",
    type(None): "null",
}


class JsonObject:
    """One object; each method returns the value of a key or raises `InvalidResponseError`.

    Keys that nobody asks for are ignored, so that the service may add some.
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            _refuse(where, value, "an object")
        self.values = cast("Mapping[str, object]", value)
        self._where = where

    def text(self, key: str) -> str:
        """Return a text."""
        value = self._value(key)
        return value if isinstance(value, str) else self._refuse(key, "a text")

    def text_or_none(self, key: str) -> str | None:
        """Return a text, None where the key is missing or null."""
        return None if self.values.get(key) is None else self.text(key)

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self._value(key)
        return value if isinstance(value, bool) else self._refuse(key, "a flag")

    def count(self, key: str) -> int:
        """Return a whole number from 0."""
        value = self._value(key)
        return value if _is_count(value) else self._refuse(key, "a whole number from 0")

    def number(self, key: str) -> float:
        """Return a finite number."""
        value = self._value(key)
        return float(value) if _is_number(value) else self._refuse(key, "a number")

    def number_or_none(self, key: str) -> float | None:
        """Return a finite number, None where the key is missing or null."""
        return None if self.values.get(key) is None else self.number(key)

    def numbers_or_none(self, key: str) -> tuple[float, ...] | None:
        """Return a list of finite numbers, None where the key is missing or null."""
        if self.values.get(key) is None:
            return None
        numbers = tuple(float(value) for value in self._list(key) if _is_number(value))
        has_others = len(numbers) != len(self._list(key))
        return self._refuse(key, "only numbers") if has_others else numbers

    def name(self, key: str) -> str | int | None:
        """Return a text, a whole number or null."""
        value = self._value(key)
        return value if _is_name(value) else self._refuse(key, "a text, a whole number or null")

    def part(self, key: str) -> "JsonObject":
        """Return an object."""
        return JsonObject(self._value(key), f"{self._where}.{key}")

    def part_or_none(self, key: str) -> "JsonObject | None":
        """Return an object, None where the key is missing or null."""
        return None if self.values.get(key) is None else self.part(key)

    def objects(self, key: str) -> list["JsonObject"]:
        """Return a list of objects."""
        where = f"{self._where}.{key}"
        return [
            JsonObject(value, f"{where}[{position}]")
            for position, value in enumerate(self._list(key))
        ]

    def _list(self, key: str) -> list[object]:
        value = self._value(key)
        return (
            cast("list[object]", value) if isinstance(value, list) else self._refuse(key, "a list")
        )

    def _value(self, key: str) -> object:
        if key not in self.values:
            message = f"{self._where}.{key} of the answer is missing; {ADVICE}"
            raise InvalidResponseError(message)
        return self.values[key]

    def _refuse(self, key: str, needed: str) -> NoReturn:
        _refuse(f"{self._where}.{key}", self.values[key], needed)


def parse_json(body: bytes) -> object:
    """Return the value of a JSON text.

    Raises:
        InvalidResponseError: if it is none; NaN and Infinity are not JSON.
    """
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):  # undecodable, torn, NaN, or nested beyond reason
        message = f"the answer ({len(body)} bytes) is not JSON; {ADVICE}"
        raise InvalidResponseError(message) from None


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0


def _is_name(value: object) -> TypeGuard[str | int | None]:
    return isinstance(value, str | None) or type(value) is int


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _refuse(where: str, value: object, needed: str) -> NoReturn:
    found = _KINDS.get(type(value), "a number")
    message = f"{where} of the answer is {found}, needed is {needed}; {ADVICE}"
    raise InvalidResponseError(message)

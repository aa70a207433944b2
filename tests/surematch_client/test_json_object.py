from collections.abc import Callable

import pytest
from surematch_client import InvalidResponseError
from surematch_client.json_object import JsonObject, parse_json

VALUES: dict[str, object] = {
    "text": "a",
    "flag": True,
    "zero": 0,
    "negative": -1,
    "float": 1.5,
    "null": None,
    "list": [{"key": 1}],
    "numbers": [1, 2.5],
    "mixed": [1, "2"],
    "flags": [True],
    "object": {"key": "b"},
    "huge": 10**400,
    "huger": float("inf"),
}
BODY = JsonObject(VALUES, "body")


@pytest.mark.parametrize(
    ("read", "allowed"),
    [
        (BODY.text, {"text": "a"}),
        (BODY.text_or_none, {"text": "a", "null": None, "missing": None}),
        (BODY.flag, {"flag": True}),
        (BODY.count, {"zero": 0, "huge": 10**400}),
        (BODY.number, {"zero": 0.0, "negative": -1.0, "float": 1.5}),
        (
            BODY.number_or_none,
            {"zero": 0.0, "negative": -1.0, "float": 1.5, "null": None, "missing": None},
        ),
        (BODY.numbers_or_none, {"numbers": (1.0, 2.5), "null": None, "missing": None}),
        (BODY.name, {"text": "a", "zero": 0, "negative": -1, "null": None, "huge": 10**400}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_value_of_the_right_type_comes_back_and_every_other_is_refused(
    read: Callable[[str], object], allowed: dict[str, object]
) -> None:
    found: dict[str, object] = {}
    for key in [*VALUES, "missing"]:
        try:
            found[key] = read(key)
        except InvalidResponseError as error:
            assert f"body.{key} of the answer is" in str(error)  # noqa: PT017  # others came back

    assert found == allowed
    assert {key: type(value) for key, value in found.items()} == {
        key: type(value) for key, value in allowed.items()
    }


def test_the_message_names_the_whole_path_and_not_the_value() -> None:
    with pytest.raises(InvalidResponseError) as caught:
        BODY.objects("list")[0].text("key")

    assert str(caught.value) == (
        "body.list[0].key of the answer is a number, needed is a text; "
        "check what answers at this address, or update the client"
    )


def test_a_part_is_an_object_or_nothing() -> None:
    part = BODY.part_or_none("object")

    assert part is not None
    assert part.text("key") == "b"
    assert BODY.part_or_none("null") is BODY.part_or_none("missing") is None
    for key in ("text", "list", "flag"):
        with pytest.raises(InvalidResponseError, match="needed is an object"):
            BODY.part_or_none(key)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"a": 1',
        b"<html>",
        b"\xff",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b"[" * 100_000,
        b"9" * 5000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidResponseError, match=rf"^the answer \({len(body)} bytes\) is not"):
        parse_json(body)

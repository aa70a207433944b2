import json
from collections.abc import Iterator
from typing import Any

import pytest
from surematch_client import Identifiers, Query, calls
from surematch_client.retries import Repeat


def body_of(call: calls.Call[Any]) -> Any:
    assert call.content is not None
    return json.loads(call.content)


def test_a_string_and_a_query_make_the_body_of_the_interface() -> None:
    call = calls.recommend_call(["a", Query("b", id=3)], k=7, fields=("brand",))

    assert (call.method, call.path, call.repeat) == ("POST", "/recommend", Repeat.ALWAYS)
    assert body_of(call) == {
        "queries": [{"id": None, "text": "a"}, {"id": 3, "text": "b"}],
        "k": 7,
        "fields": ["brand"],
    }
    plain = body_of(calls.recommend_call(["a"], k=7, fields=None))
    assert not {"fields", "filter"} & plain.keys()


def test_identifiers_are_sent_with_the_query_that_has_them() -> None:
    queries = ["a", Query("b", identifiers=Identifiers(gtin="4006381333931"))]

    plain, informed = body_of(calls.recommend_call(queries, k=7, fields=None))["queries"]

    assert "identifiers" not in plain
    assert informed["identifiers"] == {"gtin": "4006381333931", "mpn": None}


def test_a_filter_is_sent_as_it_is_given() -> None:
    wanted = {"category": "Phones", "brand": ("Sony", "LG")}

    call = calls.recommend_call(["a"], k=7, fields=None, wanted=wanted)

    assert body_of(call)["filter"] == {"category": "Phones", "brand": ["Sony", "LG"]}
    for some in calls.recommend_calls(["a", "b"], batch=1, k=7, fields=None, wanted=wanted):
        assert body_of(some)["filter"] == body_of(call)["filter"]


@pytest.mark.parametrize("text", ["\ud800 half a pair", "中文 🎧", "\0\n"])
def test_any_text_travels_unharmed(text: str) -> None:
    assert body_of(calls.recommend_call([text], k=1, fields=None))["queries"][0]["text"] == text
    assert body_of(calls.embed_call([text]))["texts"] == [text]


def test_one_text_in_place_of_many_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="queries is one str"):
        calls.recommend_call("sony", k=5, fields=None)
    with pytest.raises(TypeError, match="fields is one str"):
        calls.recommend_call(["sony"], k=5, fields="brand")
    with pytest.raises(TypeError, match="texts is one str"):
        calls.embed_call("sony")
    with pytest.raises(TypeError, match="queries is one str"):
        calls.recommend_calls("sony", batch=5, k=5, fields=None)


@pytest.mark.parametrize("wrong", [None, 3, b"sony", {"text": "sony"}])
def test_a_query_of_another_type_is_a_mistake_that_is_not_repeated(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^queries\[1\] is of \w+, needed is str or Query$"):
        calls.recommend_call(["a", wrong], k=5, fields=None)


@pytest.mark.parametrize(
    ("queries", "sizes"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])]
)
def test_many_queries_are_dealt_into_bodies_in_order(queries: int, sizes: list[int]) -> None:
    texts = [f"q{number}" for number in range(queries)]

    bodies = [
        [query["text"] for query in body_of(call)["queries"]]
        for call in calls.recommend_calls(iter(texts), batch=3, k=5, fields=None)
    ]

    assert [len(body) for body in bodies] == sizes
    assert [text for body in bodies for text in body] == texts


def test_queries_are_read_only_as_bodies_are_taken() -> None:
    read: list[str] = []

    def endless() -> Iterator[str]:
        while True:
            read.append("q")
            yield "q"

    bodies = calls.recommend_calls(endless(), batch=3, k=5, fields=None)
    next(bodies)

    assert len(read) == 3


def test_a_body_of_no_queries_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="batch is 0, needed is 1 or more"):
        calls.recommend_calls(["a"], batch=0, k=5, fields=None)


def test_a_swap_names_its_bundle_or_none_and_is_not_made_twice() -> None:
    named, current, back = calls.swap_call("b-2"), calls.swap_call(None), calls.roll_back_call()

    assert (named.path, body_of(named)) == ("/admin/bundle", {"bundle": "b-2"})
    assert (current.path, body_of(current)) == ("/admin/bundle", {})
    assert (back.path, body_of(back)) == ("/admin/rollback", {})
    assert {call.repeat for call in (named, current, back)} == {Repeat.UNLESS_TAKEN}
    assert {call.method for call in (named, current, back)} == {"POST"}

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.contract.decision import Reason
from service.contract.text import MAX_TEXT_CHARACTERS, normalise
from service.schemas import (
    MAX_FIELDS,
    MAX_ID_CHARACTERS,
    MAX_ID_INTEGER,
    Query,
    RecommendedProduct,
    RecommendRequest,
    Result,
    replace_lone_surrogates,
)

any_text = st.text(st.characters(exclude_categories=()), max_size=50)


def read(**body: object) -> RecommendRequest:
    return RecommendRequest.model_validate(body)


def test_a_string_and_an_object_ask_the_same() -> None:
    assert read(queries=["cable"]) == read(queries=[{"text": "cable", "id": None}], k=5)


def test_what_is_not_said_has_its_documented_default() -> None:
    asked = read(queries=["cable"])

    assert (asked.k, asked.fields, asked.queries[0].id) == (5, None, None)


@pytest.mark.parametrize(
    "query_id",
    [None, "", "a", "é" * MAX_ID_CHARACTERS, 0, -1, MAX_ID_INTEGER, -MAX_ID_INTEGER - 1, "\x00"],
)
def test_an_id_is_kept_as_it_is(query_id: object) -> None:
    (query,) = read(queries=[{"id": query_id, "text": "x"}]).queries

    assert query.id == query_id
    assert type(query.id) is type(query_id)


@pytest.mark.parametrize("k", [1, 100])
def test_k_reaches_both_ends_of_its_range(k: int) -> None:
    assert read(queries=["x"], k=k).k == k


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"queries": []},
        {"queries": None},
        {"queries": "x"},
        {"queries": {"text": "x"}},
        {"queries": [None]},
        {"queries": [3]},
        {"queries": [["x"]]},
        {"queries": [{}]},
        {"queries": [{"text": None}]},
        {"queries": [{"text": 3}]},
        {"queries": [{"text": ["x"]}]},
        {"queries": [{"text": "x", "threshold": 0.5}]},
        {"queries": ["x" * (MAX_TEXT_CHARACTERS + 1)]},
        {"queries": [{"text": "x" * (MAX_TEXT_CHARACTERS + 1)}]},
        *(
            {"queries": [{"id": query_id, "text": "x"}]}
            for query_id in (
                *(True, 1.0, [], {}, "a" * (MAX_ID_CHARACTERS + 1), "\ud800"),
                *(MAX_ID_INTEGER + 1, -MAX_ID_INTEGER - 2),
            )
        ),
        *({"queries": ["x"], "k": k} for k in (0, 101, -1, "5", 5.0, True, None, [5])),
        *({"queries": ["x"], "fields": fields} for fields in ("brand", [3], [None], {})),
        {"queries": ["x"], "fields": ["brand"] * (MAX_FIELDS + 1)},
        {"queries": ["x"], "threshold": 0.5},
    ],
)
def test_any_other_shape_is_refused(body: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**body)


def test_a_text_of_the_longest_length_is_taken() -> None:
    assert len(read(queries=["x" * MAX_TEXT_CHARACTERS]).queries[0].text) == MAX_TEXT_CHARACTERS


def test_the_limit_of_queries_counts_before_any_query_is_looked_at() -> None:
    body = {"queries": [None, None, None]}
    with pytest.raises(ValidationError, match="holds 3 queries, at most 2 are allowed") as refusal:
        RecommendRequest.model_validate(body, context={"max_queries": 2})

    assert refusal.value.error_count() == 1


@given(any_text)
def test_a_text_becomes_valid_unicode_and_keeps_its_normal_form(text: str) -> None:
    (query,) = read(queries=[text]).queries

    query.text.encode()
    assert normalise(query.text) == normalise(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\ud800b", "a\ufffdb"), ("\udc00\ud800", "\ufffd\ufffd"), ("\U0001f3a7", "\U0001f3a7")],
)
def test_half_a_surrogate_pair_becomes_the_replacement_character(text: str, expected: str) -> None:
    assert replace_lone_surrogates(text) == expected


def test_an_error_does_not_repeat_the_text() -> None:
    with pytest.raises(ValidationError) as refusal:
        read(queries=[{"text": ["a secret text"]}])

    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("similarity", [float("nan"), float("inf"), 1.5, -1.5])
def test_a_response_cannot_hold_a_similarity_that_is_none(similarity: float) -> None:
    with pytest.raises(ValidationError):
        RecommendedProduct(product_id="p", title="t", similarity=similarity)


def test_fields_are_absent_unless_asked_and_null_where_there_is_no_value() -> None:
    bare = RecommendedProduct(product_id="p", title="t", similarity=0.5)
    asked = RecommendedProduct(product_id="p", title="t", similarity=0.5, fields={"brand": None})

    assert bare.model_dump_json() == '{"product_id":"p","title":"t","similarity":0.5}'
    assert asked.model_dump_json().endswith('"fields":{"brand":null}}')


def test_a_result_without_an_id_says_null() -> None:
    result = Result(
        id=Query(text="").id,
        decision=Reason.EMPTY_TEXT.decision,
        reason=Reason.EMPTY_TEXT,
        target_precision=0.95,
        truncated=False,
        recommendations=[],
    )

    assert result.model_dump(mode="json") == {
        "id": None,
        "decision": "manual_review",
        "reason": "empty_text",
        "target_precision": 0.95,
        "truncated": False,
        "recommendations": [],
    }

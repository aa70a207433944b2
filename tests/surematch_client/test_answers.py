import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from surematch_client import (
    Decision,
    Embedding,
    InvalidResponseError,
    Limits,
    OperatingPoint,
    Query,
    Reason,
    Recommendation,
    SwapResponse,
    SwapStatus,
)
from surematch_client.answers import (
    embed_response_of,
    info_of,
    ready_of,
    recommend_response_of,
    swap_response_of,
)

ASKED = [Query("a", id="offer-1"), Query(" ", id=7), Query("c")]
RECOMMENDED = {
    "bundle_id": "b-1",
    "results": [
        {
            "id": "offer-1",
            "decision": "auto_accepted",
            "reason": "above_threshold",
            "truncated": False,
            "target_precision": 0.95,
            "recommendations": [
                {"product_id": "p-9", "title": "T", "similarity": 0.875, "score": 2},
                {
                    "product_id": "p-8",
                    "title": "",
                    "similarity": -1,
                    "fields": {"brand": "Sony", "colour": None},
                },
            ],
        },
        {
            "id": 7,
            "decision": "manual_review",
            "reason": "empty_text",
            "truncated": False,
            "recommendations": [],
        },
        {
            "id": None,
            "decision": "manual_review",
            "reason": "a_reason_of_next_year",
            "truncated": True,
            "recommendations": [],
            "a_key_of_next_year": {"x": 1},
        },
    ],
    "another_key_of_next_year": [],
}
EMBEDDED = {
    "bundle_id": "b-1",
    "dim": 2,
    "results": [
        {"embedding": [0.5, 1], "truncated": True, "reason": None},
        {"embedding": None, "truncated": False, "reason": "empty_text"},
    ],
}
INFO = {
    "bundle_id": "b-1",
    "created_at": "2026-01-01T00:00:00Z",
    "operating_point": {
        "threshold": 0.8,
        "target_precision": 0.95,
        "confidence": 0.9,
        "coverage": 0.7,
        "queries": 100,
    },
    "explanation": "why",
    "limits": {
        "body_bytes": 1,
        "queries": 2,
        "k": 3,
        "text_characters": 4,
        "tokens": 5,
        "fields": 6,
    },
}
SWAPPED = {"status": "swapped", "bundle_id": "b-2", "seconds": 1.5}


def altered(value: Any, *path: str | int, to: object) -> Any:
    """Return a copy of ``value`` that holds something else at ``path``."""
    changed = copy.deepcopy(value)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return changed


def test_results_are_what_the_service_says_and_keys_of_tomorrow_are_ignored() -> None:
    response = recommend_response_of(RECOMMENDED, ASKED)

    first, second, third = response.results
    assert response.bundle_id == first.bundle_id == third.bundle_id == "b-1"
    assert (first.id, first.decision, first.reason) == (
        "offer-1",
        Decision.AUTO_ACCEPTED,
        Reason.ABOVE_THRESHOLD,
    )
    assert first.recommendations == (
        Recommendation("p-9", "T", 0.875, score=2.0),
        Recommendation("p-8", "", -1.0, fields={"brand": "Sony", "colour": None}),
    )
    assert (first.target_precision, second.target_precision) == (0.95, None)
    assert [each.is_auto_accepted for each in response.results] == [True, False, False]
    assert [each.truncated for each in response.results] == [False, False, True]
    assert second.reason is Reason.EMPTY_TEXT
    assert third.reason == "a_reason_of_next_year"
    assert type(third.reason) is str


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("bundle_id",), None),
        (("results",), {}),
        (("results", 0), "x"),
        (("results", 0, "id"), "offer-2"),
        (("results", 1, "id"), True),
        (("results", 1, "id"), 7.0),
        (("results", 0, "decision"), "sent_to_the_moon"),
        (("results", 0, "reason"), None),
        (("results", 0, "truncated"), 0),
        (("results", 0, "target_precision"), "0.95"),
        (("results", 0, "recommendations"), []),
        (("results", 0, "recommendations"), None),
        (("results", 0, "recommendations", 0, "product_id"), 9),
        (("results", 0, "recommendations", 0, "title"), None),
        (("results", 0, "recommendations", 0, "similarity"), "0.9"),
        (("results", 0, "recommendations", 0, "similarity"), True),
        (("results", 0, "recommendations", 1, "fields"), []),
        (("results", 0, "recommendations", 1, "fields", "brand"), 3),
    ],
)
def test_results_that_are_not_what_the_interface_says_are_refused(
    path: tuple[str | int, ...], to: object
) -> None:
    with pytest.raises(InvalidResponseError):
        recommend_response_of(altered(RECOMMENDED, *path, to=to), ASKED)


def test_one_result_too_few_or_too_many_is_refused() -> None:
    with pytest.raises(InvalidResponseError, match="holds 3 results, needed are 2"):
        recommend_response_of(RECOMMENDED, ASKED[:2])
    with pytest.raises(InvalidResponseError, match="holds 3 results, needed are 4"):
        recommend_response_of(RECOMMENDED, [*ASKED, Query("d")])


def test_results_in_another_order_are_refused() -> None:
    with pytest.raises(InvalidResponseError, match="ids of the results"):
        recommend_response_of(RECOMMENDED, ASKED[::-1])


def test_embeddings_have_the_dimension_that_is_stated() -> None:
    response = embed_response_of(EMBEDDED, 2)

    assert (response.bundle_id, response.dim) == ("b-1", 2)
    assert response.results == (
        Embedding((0.5, 1.0), truncated=True, reason=None),
        Embedding(None, truncated=False, reason=Reason.EMPTY_TEXT),
    )
    with pytest.raises(InvalidResponseError, match="has 2 values, needed are 3"):
        embed_response_of(altered(EMBEDDED, "dim", to=3), 2)
    with pytest.raises(InvalidResponseError, match="holds 2 results, needed are 1"):
        embed_response_of(EMBEDDED, 1)


def test_info_is_typed_where_it_is_stable_and_raw_as_a_whole() -> None:
    info = info_of(INFO)

    assert (info.bundle_id, info.explanation) == ("b-1", "why")
    assert info.operating_point == OperatingPoint(0.8, 0.95, 0.9, 0.7)
    assert info.limits == Limits(body_bytes=1, queries=2, k=3, text_characters=4, tokens=5)
    assert info.raw == INFO
    assert info_of(altered(INFO, "operating_point", to=None)).operating_point is None


def test_a_swap_says_what_became_of_it() -> None:
    assert swap_response_of(SWAPPED) == SwapResponse(SwapStatus.SWAPPED, "b-2", 1.5)
    assert swap_response_of(altered(SWAPPED, "status", to="postponed")).status == "postponed"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, *path: str | int) -> list[tuple[str | int, ...]]:
    """Return the path of every value within ``value``."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    below = [place for key, each in inner for place in places(each, *path, key)]
    return [(*path, key) for key, _ in inner] + below


@given(st.data())
def test_an_answer_altered_anywhere_is_read_or_refused_and_never_breaks_the_client(
    data: st.DataObject,
) -> None:
    read, valid = data.draw(
        st.sampled_from(
            [
                (lambda value: recommend_response_of(value, ASKED), RECOMMENDED),
                (lambda value: embed_response_of(value, 2), EMBEDDED),
                (info_of, INFO),
                (swap_response_of, SWAPPED),
                (ready_of, {"bundle_id": "b-1", "status": "ready"}),
            ]
        )
    )
    place = data.draw(st.sampled_from(places(valid)))
    changed = altered(valid, *place, to=data.draw(JSON))

    try:
        found = read(changed)
    except InvalidResponseError as error:
        assert "\n" not in str(error)  # noqa: PT017  # or it was read
    else:
        assert found is not None

"""What a filter changes of an answer: its products, and whether it may be accepted."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client, asking
from tests.tiny import write_bundle

SONY = "sony wh-1000xm4 black"


@pytest.fixture(scope="module")
def client(tiny_bundle: Path) -> Generator[Client]:
    with asking(tiny_bundle) as client:
        yield client


def ask(client: Client, text: str, wanted: object, *, k: int = 5) -> dict[str, Any]:
    response = client.recommend({"queries": [text], "k": k, "filter": wanted})
    assert response.status_code == 200, response.text
    return response.json()["results"][0]


def ids(result: dict[str, Any]) -> list[str]:
    return [found["product_id"] for found in result["recommendations"]]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"category": "Headphones"}, {"p-1", "p-2", "p-3"}),
        ({"category": ["Headphones", "Cameras"], "brand": ["Sony", "Canon"]}, "p-1 p-2 p-4 p-5"),
        ({"brand": "Bose"}, {"p-3"}),
    ],
)
def test_only_products_of_the_filter_are_recommended_and_all_there_are(
    client: Client, wanted: object, expected: Any
) -> None:
    found = ids(ask(client, SONY, wanted, k=100))

    assert sorted(found) == sorted(expected.split() if isinstance(expected, str) else expected)


def test_an_answer_that_the_filter_does_not_change_is_decided_as_without_it(client: Client) -> None:
    result = ask(client, SONY, {"category": "Headphones"})
    (whole,) = client.recommend({"queries": [SONY]}).json()["results"]

    assert (result["reason"], ids(result)[0]) == ("above_threshold", "p-1")
    assert result["recommendations"][0] == whole["recommendations"][0]


def test_a_best_product_that_only_the_filter_brings_forward_goes_to_review(tmp_path: Path) -> None:
    write_bundle(tmp_path / "lax", threshold=-1.0)
    with asking(tmp_path / "lax") as lax:
        for _ in range(2):  # worked out, and from the cache
            same = ask(lax, "canon eos r5 body", {"category": "Cameras"})
            other = ask(lax, "canon eos r5 body", {"brand": "Nikon"})

            assert (ids(same)[0], same["reason"]) == ("p-5", "above_threshold")
            assert (ids(other), other["reason"]) == (["p-6"], "filter_excludes_best")
            assert other["decision"] == "manual_review"


def test_no_product_of_the_filter_is_an_answer_for_review(client: Client) -> None:
    result = ask(client, SONY, {"category": "Phones"})

    assert result["recommendations"] == []
    assert (result["decision"], result["reason"]) == ("manual_review", "no_candidate")


def test_twins_stay_ambiguous_within_a_filter(client: Client) -> None:
    assert ask(client, "generic cable", {"brand": "Generic"})["reason"] == "ambiguous_product"


def test_the_same_text_with_another_filter_is_not_answered_from_the_cache(client: Client) -> None:
    for _ in range(2):
        assert ids(ask(client, SONY, {"brand": "Bose"})) == ["p-3"]
        assert ids(ask(client, SONY, {"brand": "Nikon"})) == ["p-6"]
        assert ids(client.recommend({"queries": [SONY]}).json()["results"][0])[0] == "p-1"


def test_texts_with_and_without_filters_are_answered_together(client: Client) -> None:
    bodies = [
        {"queries": ["canon eos r5 body"], "k": 2, **({"filter": wanted} if wanted else {})}
        for wanted in (None, {"brand": "Sony"}, {"brand": "Canon"}, {"brand": "None"}, None)
    ]
    found = [ids(r.json()["results"][0]) for r in client.recommend_together(bodies)]

    assert [one[:1] for one in found] == [["p-5"], found[1][:1], ["p-5"], [], ["p-5"]]
    assert set(found[1]) == {"p-1", "p-2"}


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        ({"colour": "red"}, "filter.colour"),
        ({"brand": []}, "filter.brand"),
        ({"brand": 7}, "filter.brand"),
        ({"brand": None}, "filter.brand"),
        ({"brand": [None]}, "filter.brand"),
        ({"brand": "x" * 1001}, "filter.brand"),
        ({}, "filter"),
        ([], "filter"),
        ("Phones", "filter"),
        ({f"f{i}": "x" for i in range(17)}, "filter"),
    ],
)
def test_a_filter_of_another_shape_is_refused_by_name(
    client: Client, wanted: object, where: str
) -> None:
    response = client.recommend({"queries": [SONY], "filter": wanted})

    assert response.status_code == 422
    assert response.json()["errors"][0]["where"].startswith(where)


@pytest.mark.parametrize("value", [[], 7, None, [None], "x" * 1001, ["x"] * 101, {"a": "b"}])
def test_a_value_that_cannot_be_one_is_refused_once_with_what_can(
    client: Client, value: object
) -> None:
    response = client.recommend({"queries": [SONY], "filter": {"brand": value}})

    what = "must be a string of at most 1000 characters, or a list of 1 to 100"
    assert response.json()["errors"] == [{"where": "filter.brand", "what": what}]


def test_half_a_surrogate_pair_is_a_value_that_no_product_has(client: Client) -> None:
    query = b'{"text": "sony", "identifiers": {"gtin": "\\ud800"}}'
    content = b'{"queries": [%b], "filter": {"brand": ["\\ud800"]}}' % query

    response = client.send(content)

    assert response.json()["results"][0]["reason"] == "no_candidate"


def test_an_unknown_field_is_refused_with_those_there_are(client: Client) -> None:
    response = client.recommend({"queries": [SONY], "filter": {"colour": "red"}})

    assert response.json()["detail"].endswith("which has: category, brand")

import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from service.contract.signals import IdentifierKind
from tests.client import Client, asking
from tests.informed import GTINS, inform


@pytest.fixture(scope="module")
def client(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Client]:
    folder = tmp_path_factory.mktemp("informed") / "bundle"
    shutil.copytree(tiny_bundle, folder)
    inform(folder, identifiers=True, lexical=True, accepted={IdentifierKind.GTIN: True})
    with asking(folder) as client:
        yield client


def result(client: Client, query: object) -> dict[str, Any]:
    response = client.recommend({"queries": [query], "k": 2})
    assert response.status_code == 200, response.text
    return response.json()["results"][0]


@pytest.mark.parametrize("given", [GTINS["p-1"], "4 905524 930016", "04905524930016"])
def test_an_identifier_beside_the_text_names_the_product(client: Client, given: str) -> None:
    found = result(client, {"text": "canon", "identifiers": {"gtin": given}})

    assert (found["decision"], found["reason"]) == ("auto_accepted", "identifier_match")
    assert found["identifier"] == "matched"
    best, other = found["recommendations"]
    assert (best["product_id"], best["matched_by"], best["score"]) == ("p-1", "gtin", 1.0)
    assert "matched_by" not in other


@pytest.mark.parametrize(
    ("identifiers", "status"),
    [
        ({"gtin": "4905524930017"}, "invalid_check_digit"),
        ({"gtin": "0000000000000"}, "invalid_gtin"),
        ({"gtin": "96385074"}, "unknown"),
        ({"mpn": "no-such-1"}, "unknown"),
        ({"gtin": GTINS["p-5"]}, "ambiguous"),
    ],
)
def test_an_identifier_that_names_no_product_is_no_error(
    client: Client, identifiers: dict[str, str], status: str
) -> None:
    before = client.sample("surematch_identifiers_total", result=status)
    found = result(client, {"text": "canon eos r5 body", "identifiers": identifiers})

    assert found["identifier"] == status
    assert client.sample("surematch_identifiers_total", result=status) == before + 1


@pytest.mark.parametrize(
    "identifiers",
    [{"gtin": 4905524930016}, {"ean": "1"}, "4905524930016", {"mpn": "x" * 129}, [], {"mpn": {}}],
)
def test_identifiers_of_another_shape_are_refused(client: Client, identifiers: object) -> None:
    response = client.recommend({"queries": [{"text": "x", "identifiers": identifiers}]})

    assert response.status_code == 422
    assert "identifiers" in response.json()["detail"]


def test_a_cached_answer_is_that_of_the_same_identifiers(client: Client) -> None:
    named = {"text": "canon", "identifiers": {"gtin": GTINS["p-1"]}}

    first, second, third = (result(client, query) for query in (named, "canon", named))

    assert first == third
    assert "identifier" not in second
    assert second["reason"] != "identifier_match"


def test_queries_without_identifiers_are_answered_as_ever(
    client: Client, tiny_bundle: Path
) -> None:
    with asking(tiny_bundle) as plain:
        for text in ("canon eos r5 body", "generic cable", "", "sony wh1000xm4 silver"):
            assert result(client, text) == result(plain, text)


def test_a_bundle_that_knows_no_identifiers_says_so(tiny_bundle: Path) -> None:
    with asking(tiny_bundle) as plain:
        found = result(plain, {"text": "canon", "identifiers": {"gtin": GTINS["p-1"]}})

    assert found["identifier"] == "not_indexed"
    assert all("score" not in one for one in found["recommendations"])


def test_lines_of_a_stream_may_name_identifiers(client: Client) -> None:
    line = b'{"text": "canon", "identifiers": {"gtin": "4905524930016"}}\n'
    answer = client.request("POST", "/recommend/stream", content=line).json()

    assert (answer["identifier"], answer["reason"]) == ("matched", "identifier_match")


def test_info_names_the_columns_of_identifiers_and_what_decides(client: Client) -> None:
    info = client.get("/info").json()

    assert info["decides_on"] == "similarity"
    assert [one["column"] for one in info["identifiers"]] == ["gtin", "mpn"]

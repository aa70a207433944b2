from collections.abc import Generator
from pathlib import Path

import pytest

from tests.client import asking
from tests.service.products.conversation import Catalogue, changing, outcomes, path_of


@pytest.fixture
def catalogue(tiny_bundle: Path, tmp_path: Path) -> Generator[Catalogue]:
    with changing(tiny_bundle, tmp_path / "changes") as catalogue:
        yield catalogue


@pytest.fixture(scope="module")
def shared(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Catalogue]:
    """For tests that leave the products of the bundle as they are."""
    with changing(tiny_bundle, tmp_path_factory.mktemp("changes")) as catalogue:
        yield catalogue


def test_a_product_that_was_put_is_found_by_the_very_next_request(catalogue: Catalogue) -> None:
    response = catalogue.put("new/1", "Nikon Silver Cable", brand="Nikon", category="Cables")
    best = catalogue.result("nikon silver cable")

    assert response.json() | {"bundle_id": "b"} == {
        "product_id": "new/1",
        "outcome": "created",
        "bundle_id": "b",
    }
    assert best["recommendations"][0] | {"similarity": 1.0} == {
        "product_id": "new/1",
        "title": "Nikon Silver Cable",
        "similarity": 1.0,
        "fields": {"brand": "Nikon"},
    }
    assert best["recommendations"][0]["similarity"] == pytest.approx(1.0, abs=1e-5)


def test_a_product_that_was_replaced_or_deleted_never_appears_again(catalogue: Catalogue) -> None:
    assert catalogue.found("sony wh-1000xm4 black")[0] == "p-1"  # and so it is in the cache
    assert catalogue.put("p-1", "Canon Cable").json()["outcome"] == "replaced"
    assert catalogue.result("sony wh-1000xm4 black")["recommendations"][0]["product_id"] != "p-1"
    assert catalogue.found("canon cable")[0] == "p-1"
    assert catalogue.delete("p-1").json()["outcome"] == "deleted"
    assert catalogue.delete("p-4").json()["outcome"] == "deleted"

    for text in ("canon cable", "canon eos r6 body", "sony wh-1000xm4 black"):
        assert not {"p-1", "p-4"} & set(catalogue.found(text))
        assert len(catalogue.found(text)) == 6
    assert catalogue.get("p-1").status_code == 404
    again = catalogue.delete("p-1")
    assert (again.status_code, again.json()["code"]) == (404, "unknown_product")


def test_a_product_is_served_as_it_was_put_or_as_the_bundle_has_it(catalogue: Catalogue) -> None:
    bundled = catalogue.get("p-3").json()
    catalogue.put("p-3", " Bose QC ", brand=None, category=" Audio > Ears ")
    put = catalogue.get("p-3").json()
    catalogue.put("p-3", "Bose QuietComfort 45 White", brand="Bose", category="Headphones")

    assert bundled == {
        "product_id": "p-3",
        "title": "Bose QuietComfort 45 White",
        "fields": {"category": "Headphones", "brand": "Bose"},
        "newer_than_calibration": False,
        "pending": False,
        "bundle_id": bundled["bundle_id"],
    }
    assert put == bundled | {
        "title": " Bose QC ",
        "fields": {"category": "Audio > Ears", "brand": None},
        "newer_than_calibration": True,
    }
    assert catalogue.get("p-3").json() == bundled


def test_a_new_product_is_not_accepted_before_it_was_calibrated(catalogue: Catalogue) -> None:
    catalogue.put("new", "Nikon Silver")
    result = catalogue.result("nikon silver")
    assert (result["decision"], result["reason"]) == ("manual_review", "stale_operating_point")

    catalogue.put("twin", "nikon  silver")
    assert catalogue.result("nikon silver")["reason"] == "ambiguous_product"
    catalogue.delete("twin")
    assert catalogue.result("nikon silver")["reason"] == "stale_operating_point"
    assert catalogue.result("canon eos r5 body")["reason"] == "above_threshold"
    assert catalogue.result("sony body")["reason"] == "below_threshold"


def test_new_products_are_accepted_where_that_is_set(tiny_bundle: Path, tmp_path: Path) -> None:
    with changing(tiny_bundle, tmp_path, accept_new_products=True) as catalogue:
        catalogue.put("new", "Nikon Silver")
        catalogue.put("p-9", "Canon EOS R5 Body")

        assert catalogue.result("nikon silver")["reason"] == "above_threshold"
        assert catalogue.result("canon eos r5 body")["reason"] == "ambiguous_product"


def test_a_filter_sees_new_products(catalogue: Catalogue) -> None:
    catalogue.put("new", "Nikon Silver", brand="Nikon", category="Cameras > Small")
    catalogue.delete("p-6")
    body = {"queries": ["nikon"], "filter": {"brand": "Nikon", "category": "Cameras"}}
    (result,) = catalogue.client.recommend(body).json()["results"]

    assert [one["product_id"] for one in result["recommendations"]] == ["new"]


def test_info_says_how_far_the_catalogue_is_from_its_bundle(catalogue: Catalogue) -> None:
    before = catalogue.client.get("/info").json()["catalogue"]
    catalogue.put("new", "Nikon Silver")
    catalogue.put("p-1", "Sony Silver")
    catalogue.delete("p-2")
    after = catalogue.client.get("/info").json()["catalogue"]

    assert (before["products"], before["newer_products"], before["newer_ratio"]) == (8, 0, 0.0)
    assert (after["products"], after["newer_products"], after["newer_ratio"]) == (8, 2, 0.25)
    sample = catalogue.client.sample
    assert sample("surematch_fresh_products") == 2
    assert sample("surematch_removed_products") == 2
    assert sample("surematch_catalogue_newer_ratio") == 0.25
    assert sample("surematch_changes_log_bytes") > 0
    counted = "surematch_product_changes_total"
    assert sample(counted, operation="put", outcome="created") == 1
    assert sample(counted, operation="put", outcome="replaced") == 1
    assert sample(counted, operation="delete", outcome="deleted") == 1


@pytest.mark.parametrize(
    "product_id",
    [
        "a/b",
        "/",
        "a//b/",
        "..",
        ".",
        "a b",
        "100%",
        "%2F",
        "é✓",
        "?x=1#y",
        "a;b",
        "a\nb",
        "x" * 256,
    ],
)
def test_any_id_comes_back_as_it_was_put(shared: Catalogue, product_id: str) -> None:
    path = path_of(product_id).replace(".", "%2E")  # or clients take the dots for folders
    put = shared.client.request("PUT", path, json={"title": "Nikon Silver"})

    assert put.json()["product_id"] == product_id
    assert shared.client.get(path).json()["product_id"] == product_id
    assert product_id in shared.found("nikon silver")
    assert shared.client.request("DELETE", path).json()["outcome"] == "deleted"


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/products/", "product_id"),
        ("/products/%20", "product_id"),
        ("/products/%20a", "product_id"),
        ("/products/p-1%0A", "product_id"),
        ("/products/" + "x" * 257, "product_id"),
        ("/products/%FF", "product_id"),
        ("/products/%ED%A0%80", "product_id"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_no_id_is_refused(shared: Catalogue, method: str, path: str, where: str) -> None:
    response = shared.client.request(method, path, json={"title": "Nikon"})

    assert response.status_code == 422
    assert response.json()["errors"][0]["where"] == where


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "title"),
        ({"title": ""}, "title"),
        ({"title": " \u200b\x00 "}, "title"),
        ({"title": None}, "title"),
        ({"title": 7}, "title"),
        ({"title": "x" * 10_001}, "title"),
        ({"title": "x", "colour": "red"}, "colour"),
        ({"title": "x", "product_id": "p-1"}, "product_id"),
        ({"title": "x", "brand": 7}, "brand"),
        ({"title": "x", "brand": ["Sony"]}, "brand"),
        ([], "body"),
        ("x", "body"),
    ],
)
def test_what_is_no_product_is_refused_and_changes_nothing(
    shared: Catalogue, body: object, where: str
) -> None:
    response = shared.client.request("PUT", "/products/p-1", json=body)

    assert (response.status_code, response.json()["errors"][0]["where"]) == (422, where)
    assert shared.get("p-1").json()["title"] == "Sony WH-1000XM4 Black"


def test_unknown_fields_are_refused_with_those_there_are(shared: Catalogue) -> None:
    detail = shared.put("p-1", "x", colour="red").json()["detail"]

    assert detail == "colour is no field of the catalogue, which has: category, brand"


@pytest.mark.parametrize("name", ["", "é", "x" * 65, "a\nb"])
def test_a_field_of_an_odd_name_is_refused_without_repeating_it(
    shared: Catalogue, name: str
) -> None:
    (error,) = shared.put("p-1", "x", **{name: "red"}).json()["errors"]

    assert error["where"] == "(unnamed)"


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (b"[]", "line must be an object"),
        (b'{"product_id": "a"}', 'line must have "op": "put" or "op": "delete"'),
        (b'{"op": "drop"}', 'line must have "op": "put" or "op": "delete"'),
        (
            b'{"op": "delete", "product_id": " a"}',
            "delete.product_id must be valid Unicode without white space around it",
        ),
    ],
)
def test_what_is_wrong_with_a_line_is_said_in_its_own_words(
    shared: Catalogue, line: bytes, detail: str
) -> None:
    (answer,) = shared.lines(line)

    assert answer["error"] == {"code": "invalid_request", "detail": detail}


def test_odd_unicode_is_a_title_like_any_other(shared: Catalogue) -> None:
    content = b'{"title": "Nikon \\ud800 \\u202e \\u0000 \xf0\x9f\x93\xb7"}'
    response = shared.client.request("PUT", "/products/odd", content=content)

    assert response.json()["outcome"] == "created"
    assert shared.get("odd").json()["title"] == "Nikon \ufffd \u202e \x00 📷"


def test_each_line_of_many_is_made_or_said_to_be_wrong(catalogue: Catalogue) -> None:
    lines = catalogue.lines(
        {"op": "put", "product_id": "a", "title": "Nikon Silver"},
        b"",
        b"{not json",
        {"op": "put", "product_id": "b"},
        {"op": "drop", "product_id": "b"},
        {"op": "delete", "product_id": "p-1", "title": "x"},
        {"op": "delete", "product_id": "nobody"},
        {"op": "delete", "product_id": "p-2"},
        {"op": "put", "product_id": "a", "title": "Nikon Black", "brand": "Nikon"},
    )

    assert outcomes(lines) == [
        *("superseded", "invalid", "invalid", "invalid", "invalid"),
        *("not_found", "deleted", "created"),
    ]
    assert [line["line"] for line in lines] == [1, 3, 4, 5, 6, 7, 8, 9]
    assert lines[1]["error"]["code"] == "not_json"
    assert lines[5]["error"]["code"] == "unknown_product"
    assert catalogue.get("a").json()["title"] == "Nikon Black"
    assert catalogue.get("p-1").status_code == 200
    assert catalogue.get("p-2").status_code == 404
    counted = "surematch_product_changes_total"
    sample = catalogue.client.sample
    assert sample(counted, operation="put", outcome="superseded") == 1
    assert sample(counted, operation="put", outcome="invalid") == 4
    assert sample(counted, operation="delete", outcome="not_found") == 1


def test_a_large_body_with_one_bad_line_is_made_but_for_that_line(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    many = [{"op": "put", "product_id": f"n-{i}", "title": f"Nikon {i}"} for i in range(1000)]
    with changing(tiny_bundle, tmp_path, merge_products=400) as catalogue:
        lines = catalogue.lines(*many[:500], b"nonsense", *many[500:])

        assert outcomes(lines) == ["created"] * 500 + ["invalid"] + ["created"] * 500
        assert catalogue.client.get("/info").json()["catalogue"]["products"] == 1008


def test_a_service_without_a_folder_says_what_to_set(tiny_bundle: Path) -> None:
    with asking(tiny_bundle) as client:
        for method, path in (
            ("GET", "/products/p-1"),
            ("PUT", "/products/p-1"),
            ("DELETE", "/products/p-1"),
            ("POST", "/products"),
        ):
            response = client.request(method, path, json={"title": "x"})
            assert (response.status_code, response.json()["code"]) == (409, "changes_off")
            assert "SUREMATCH_CHANGES_FOLDER" in response.json()["detail"]


def test_a_page_of_another_site_cannot_change_products(shared: Catalogue) -> None:
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    response = shared.client.request("DELETE", "/products/p-1", headers=headers)

    assert (response.status_code, response.json()["code"]) == (403, "not_permitted")
    assert shared.get("p-1").status_code == 200

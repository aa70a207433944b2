"""Fresh products are merged into the index, and laid over another bundle, and nobody notices."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.service.products.conversation import Catalogue, changing
from tests.tiny import PRODUCTS, write_bundle

TEXTS = ("nikon silver", "sony wh-1000xm4 black", "canon body", "generic cable")
MERGES = "surematch_product_merges_total"


def state(catalogue: Catalogue) -> list[Any]:
    found = [catalogue.result(text, 100) for text in TEXTS]
    return [
        (
            one["reason"],
            {
                r["product_id"]: (r["title"], round(r["similarity"], 4))
                for r in one["recommendations"]
            },
        )
        for one in found
    ]


def wait_for_merges(catalogue: Catalogue, number: int) -> None:
    client = catalogue.client
    client.wait_until(lambda: client.sample(MERGES, result="merged") >= number)


def make_changes(catalogue: Catalogue) -> None:
    for i, title in enumerate(["Nikon Silver", "Nikon Black", "Sony Body", "Canon Cable"]):
        catalogue.put(f"new-{i}", title, brand=title.split()[0])
    catalogue.put("p-1", "Nikon  silver")
    catalogue.delete("p-8")
    catalogue.delete("new-2")


def test_a_merge_changes_no_answer_and_forgets_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    with changing(tiny_bundle, tmp_path / "plain") as catalogue:
        make_changes(catalogue)
        unmerged = state(catalogue)
    with changing(tiny_bundle, tmp_path / "merged", merge_products=3) as catalogue:
        make_changes(catalogue)
        wait_for_merges(catalogue, 1)
        assert catalogue.client.sample("surematch_fresh_products") <= 3
        assert state(catalogue) == unmerged
        info = catalogue.client.get("/info").json()["catalogue"]
        assert (info["products"], info["newer_products"]) == (10, 4)
        assert catalogue.get("new-0").json()["newer_than_calibration"]
        assert catalogue.result("nikon silver")["reason"] == "ambiguous_product"  # new-0 and p-1
        catalogue.delete("p-1")
        assert catalogue.result("nikon silver")["reason"] == "stale_operating_point"
        after = state(catalogue)
    with changing(tiny_bundle, tmp_path / "merged") as catalogue:
        assert state(catalogue) == after


def test_answers_during_changes_and_merges_are_each_from_one_catalogue(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    with changing(tiny_bundle, tmp_path, merge_products=4) as catalogue:
        ask = catalogue.client.asynchronous
        ids = {product_id for product_id, _, _ in PRODUCTS}

        async def change() -> None:
            for i in range(40):
                title = ("Sony Silver", "Sony WH-1000XM4 Black")[i % 2]
                response = await ask.put("/products/p-1", json={"title": f"{title} {i}"})
                assert response.status_code == 200

        async def read() -> None:
            for _ in range(60):
                body = {"queries": ["sony wh-1000xm4 black"], "k": 100}
                (result,) = (await ask.post("/recommend", json=body)).json()["results"]
                found = [one["product_id"] for one in result["recommendations"]]
                assert sorted(found) == sorted(ids)

        async def everything() -> None:
            await asyncio.gather(change(), read(), read())

        catalogue.client.run(everything())
        wait_for_merges(catalogue, 1)
        assert catalogue.result("sony wh-1000xm4 black 39")["recommendations"][0]["title"] == (
            "Sony WH-1000XM4 Black 39"
        )


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    """A folder of bundles: another catalogue with the same encoder, and one with another."""
    root = tmp_path / "bundles"
    write_bundle(root / "old")
    changed = [*PRODUCTS[2:], ("new", "Nikon Silver", "Cameras"), ("p-1", PRODUCTS[0][1], "Wrong")]
    words = [("p-2", PRODUCTS[1][1], PRODUCTS[1][2])]
    write_bundle(root / "next", products=[*changed, *words])
    write_bundle(root / "other", products=[*changed, *words], seed=1)
    return root


def swap(catalogue: Catalogue, name: str) -> None:
    response = catalogue.client.request("POST", "/admin/bundle", json={"bundle": name})
    assert response.json()["status"] == "swapped", response.text


@pytest.mark.parametrize("name", ["next", "other"])
def test_changes_are_laid_over_a_bundle_that_is_swapped_in(
    bundles: Path, tmp_path: Path, name: str
) -> None:
    with changing(bundles / "old", tmp_path / "changes") as catalogue:
        catalogue.put("new", "Nikon Silver", brand="Nikon", category="Cameras")
        catalogue.put("p-3", "Bose Black")
        catalogue.put("p-1", PRODUCTS[0][1], brand="Sony", category="Headphones")  # as it was
        catalogue.delete("p-2")
        swap(catalogue, name)

        assert catalogue.get("p-2").status_code == 404
        assert not {"p-2"} & set(catalogue.found("sony wh-1000xm4 silver"))
        assert catalogue.get("p-3").json()["title"] == "Bose Black"
        assert catalogue.found("bose black")[0] == "p-3"
        assert catalogue.get("p-1").json()["fields"]["category"] == "Headphones"
        newer = [
            one
            for one in ("new", "p-1", "p-3")
            if catalogue.get(one).json()["newer_than_calibration"]
        ]
        assert newer == ["p-1", "p-3"]  # the bundle has `new` just so
        assert catalogue.result("nikon silver")["reason"] == "above_threshold"

        catalogue.put("late", "Sony Silver")
        catalogue.put("p-3", "Bose White")
        catalogue.client.request("POST", "/admin/rollback")
        catalogue.client.wait_until(
            lambda: catalogue.client.sample("surematch_pending_products") == 0
        )
        assert catalogue.found("sony silver")[0] == "late"
        assert catalogue.get("p-3").json()["title"] == "Bose White"
        assert "p-2" not in catalogue.found("sony silver")
        assert catalogue.result("nikon silver")["reason"] == "stale_operating_point"
    with changing(bundles / name, tmp_path / "changes") as catalogue:
        assert catalogue.found("sony silver")[0] == "late"


def test_a_swap_after_a_merge_lays_every_change_over_the_new_bundle(
    bundles: Path, tmp_path: Path
) -> None:
    with changing(bundles / "old", tmp_path / "changes", merge_products=2) as catalogue:
        for i, word in enumerate(["Silver", "Black", "White", "Cable"]):
            catalogue.put(f"n-{i}", f"Nikon {word}")
        wait_for_merges(catalogue, 1)
        catalogue.put("n-9", "Sony Black")
        swap(catalogue, "next")
        wait_for_merges(catalogue, 2)

        assert {"n-0", "n-1", "n-2", "n-3", "n-9"} <= set(catalogue.found("nikon black"))
        catalogue.client.request("POST", "/admin/rollback")
        catalogue.delete("n-0")
        found = catalogue.found("nikon black")
        assert {"n-1", "n-2", "n-3", "n-9", "p-1"} <= set(found)
        assert "n-0" not in found


def test_a_catalogue_whose_products_are_all_deleted_serves_none_and_goes_on(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    with changing(tiny_bundle, tmp_path, merge_products=1) as catalogue:
        make_changes(catalogue)
        for product_id in [*catalogue.found("nikon silver"), "p-7"]:
            catalogue.delete(product_id)
        empty = catalogue.result("nikon silver")
        catalogue.put("back", "Nikon Silver")

        assert (empty["reason"], empty["recommendations"]) == ("no_candidate", [])
        assert catalogue.found("nikon silver") == ["back"]
    with changing(tiny_bundle, tmp_path) as catalogue:
        assert catalogue.found("nikon silver") == ["back"]

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jaxtyping import Int64

from service.filters import ProductFilter
from service.products.change import Change, ProductRecord
from service.products.overlay import carried_over
from service.products.served import Served
from tests.service.products.laid import BUNDLED, LaidOver, record_of
from tests.tiny import open_tiny, write_bundle

IDS = [*list(BUNDLED)[:4], "p-7", "p-8", "new/1", "new-2"]
TITLES = ["Sony Body", "sony  body", "Generic Cable", "Canon EOS R6 Body", "Nikon Black"]
records = st.builds(
    lambda title, brand, category: ProductRecord(
        title,
        {**({"brand": brand} if brand else {}), **({"category": category} if category else {})},
    ),
    st.sampled_from(TITLES),
    st.sampled_from(["Sony", "LG", ""]),
    st.sampled_from(["Cameras", "Cameras > Old", ""]),
)
Step = Literal["merge"] | tuple[str, ProductRecord | None]
merges: st.SearchStrategy[Literal["merge"]] = st.just("merge")
steps: st.SearchStrategy[list[Step]] = st.lists(
    merges | st.tuples(st.sampled_from(IDS), st.none() | records), max_size=12
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("overlay") / "tiny"
    write_bundle(folder)
    return folder


@given(given_steps=steps)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_served_is_what_the_changes_leave_whatever_their_order(
    folder: Path, given_steps: list[Step]
) -> None:
    laid = LaidOver(folder)
    model = dict(BUNDLED)
    for step in given_steps:
        if step == "merge":
            if model:
                laid.merge()
            continue
        product_id, product = step
        laid.change(product_id, product)
        model.pop(product_id, None)
        if product is not None:
            model[product_id] = product

    check_served(laid, model)


def ids_of(served: Served, rows: Int64[np.ndarray, " row"]) -> list[str]:
    found: list[int] = rows.tolist()
    return [served.catalogue.product_ids[row] for row in found if row >= 0]


def check_served(laid: LaidOver, model: dict[str, ProductRecord]) -> None:
    served = laid.overlay.served()
    catalogue, retriever = served.catalogue, served.retriever
    queries = laid.encoder.embed(["canon eos body", "generic cable"])
    similarity, rows = retriever.search(queries, len(catalogue))
    expected = {name: laid.encoder.embed([one.title])[0] for name, one in model.items()}
    tokens = {name: laid.encoder.tokenise([one.title])[0].ids for name, one in model.items()}
    twins = Counter(tokens.values())
    for query, own, found in zip(queries, similarity, rows, strict=True):
        live: list[int] = found[found >= 0].tolist()
        assert sorted(ids_of(served, found)) == sorted(model)
        assert (np.diff(own[: len(live)]) <= 0).all()
        for row, value in zip(live, own, strict=False):
            product_id = catalogue.product_ids[row]
            product = model[product_id]
            assert value == pytest.approx(float(query @ expected[product_id]), abs=1e-5)
            assert catalogue.titles[row] == product.title
            assert catalogue.values(row, catalogue.fields) == {
                name: product.values.get(name) for name in catalogue.fields
            }
            assert catalogue.has_twin[row] == (twins[tokens[product_id]] > 1)
        for k in (1, 3):  # the best few are the best of all
            best, best_rows = retriever.search(query[np.newaxis], k)
            width = min(k, len(live))
            assert best[0, :width] == pytest.approx(own[:width], abs=1e-6)
            assert set(best_rows[0, :width].tolist()) <= set(live)
        again = retriever.similarities(query[np.newaxis], found[np.newaxis])[0]
        assert again[: len(live)] == pytest.approx(own[: len(live)], abs=1e-6)
        assert np.isnan(again[len(live) :]).all()
    check_filters(laid, model)
    assert served.counts.products == len(model)
    assert all(laid.overlay.record(one) == model.get(one) for one in IDS)
    assert all((one in laid.overlay) == (one in model) for one in IDS)


def check_filters(laid: LaidOver, model: dict[str, ProductRecord]) -> None:
    served = laid.overlay.served()
    query = laid.encoder.embed(["canon eos body"])
    for wanted in (
        ProductFilter.of({"category": "Cameras"}),
        ProductFilter.of({"brand": ["Sony", "Canon"], "category": ["Cameras > Old", "Headphones"]}),
    ):
        allowed = served.catalogue.mask(wanted)
        _, rows = served.retriever.search(query, 100, allowed=allowed)
        found = ids_of(served, rows[0])

        admitted = [name for name, one in model.items() if wanted.admits(one.values.get)]
        assert sorted(found) == sorted(admitted)


def test_a_state_stays_as_it_was_when_further_changes_come(folder: Path) -> None:
    laid = LaidOver(folder)
    laid.put("new", "Nikon Black", brand="Nikon")
    before = laid.overlay.served()
    query = laid.encoder.embed(["nikon black"])
    found = before.retriever.search(query, 5)
    for step in range(200):  # so many that every buffer grows
        laid.put(f"more-{step}", "Nikon Black")
    laid.delete("new")
    laid.delete("p-6")
    again = before.retriever.search(query, 5)

    np.testing.assert_array_equal(again[1], found[1])
    np.testing.assert_array_equal(again[0], found[0])
    assert len(before.catalogue) == len(before.catalogue.has_twin) == 9
    assert list(before.catalogue.product_ids)[-1] == "new"
    assert not before.catalogue.has_twin[-1]
    assert laid.overlay.served().counts.products == 8 + 200 - 1


def test_only_products_that_were_put_are_newer_also_after_a_merge(folder: Path) -> None:
    laid = LaidOver(folder)
    laid.put("new", "Nikon Black")
    laid.put("p-1", "Sony Body")
    laid.delete("p-2")
    served = laid.overlay.served()
    for _ in range(2):
        assert set(ids_of(served, np.flatnonzero(served.is_newer))) == {"new", "p-1"}
        assert served.catalogue.is_stale.tolist() == served.is_newer.tolist()
        assert (served.counts.newer, served.counts.newer_ratio) == (2, 2 / 8)
        assert [laid.overlay.is_newer(one) for one in ("new", "p-1", "p-3")] == [True, True, False]
        laid.merge()
        served = laid.overlay.served()
    assert served.counts.fresh == 0
    assert LaidOver(folder, accept_new=True).overlay.served().catalogue.is_stale.sum() == 0


def test_a_product_that_is_as_in_the_bundle_again_is_not_newer(folder: Path) -> None:
    laid = LaidOver(folder)
    laid.put("p-1", "Sony Body")
    laid.change("p-1", BUNDLED["p-1"])
    served = laid.overlay.served()

    assert (served.counts.fresh, served.counts.removed, served.counts.newer) == (0, 0, 0)
    check_served(laid, dict(BUNDLED))


def test_a_product_without_an_embedding_is_known_and_not_found(folder: Path) -> None:
    laid = LaidOver(folder)
    laid.overlay.apply(Change(1, "", "p-1", record_of("Sony Body")), None)
    served = laid.overlay.served()

    assert served.counts.pending == 1
    assert laid.overlay.record("p-1") == record_of("Sony Body")
    _, rows = served.retriever.search(laid.encoder.embed(["sony"]), 100)
    assert "p-1" not in ids_of(served, rows[0])
    waiting = list(laid.overlay.pending.values())
    new = carried_over(
        laid.overlay, laid.overlay.base, waiting, since=served.sequence, accept_new=False
    )
    assert new.record("p-1") == record_of("Sony Body")


def test_a_catalogue_without_any_product_left_finds_none(folder: Path) -> None:
    laid = LaidOver(folder)
    for product_id in BUNDLED:
        laid.delete(product_id)
    served = laid.overlay.served()
    similarity, rows = served.retriever.search(laid.encoder.embed(["sony", "canon"]), 3)

    assert rows.tolist() == [[-1] * 3] * 2
    assert np.isneginf(similarity).all()
    assert (served.counts.products, served.counts.newer_ratio) == (0, 0.0)


def test_an_overlay_without_changes_answers_as_its_bundle(folder: Path) -> None:
    laid = LaidOver(folder)
    served = laid.overlay.served()
    plain = open_tiny(folder)
    live = plain.with_products(served.retriever, served.catalogue)
    texts = ["sony wh-1000xm4 black", "generic cable", "unknown", ""]

    assert live.recommend(texts, k=8) == plain.recommend(texts, k=8)
    assert (served.retriever.family, served.retriever.dim) == ("flat", plain.encoder.dim)


def test_rows_beyond_a_catalogue_and_unknown_fields_are_errors(folder: Path) -> None:
    laid = LaidOver(folder)
    laid.put("new", "Nikon")
    catalogue = laid.overlay.served().catalogue

    assert catalogue.product_ids[-1] == "new"
    assert catalogue.titles[6:9] == ["Generic Cable", "generic  cable", "Nikon"]
    with pytest.raises(IndexError, match="row 9 is not one of 9"):
        catalogue.titles[9]
    with pytest.raises(KeyError, match="no field"):
        catalogue.values(8, ["colour"])

"""Identifiers of products that were put are looked up as those of the bundle are."""

from dataclasses import replace
from pathlib import Path

from service.contract.signals import IdentifierColumn, IdentifierKind, SignalsRecord
from service.generation import Generation
from service.signals import IdentifierTable, Signals
from tests.service.products.laid import BUNDLED, LaidOver

GTIN = "4006381333931"
COLUMN = IdentifierColumn(
    kind=IdentifierKind.GTIN, column="brand", products=1, unusable=0, shared=0
)


def test_an_identifier_names_the_product_that_has_it_now(tiny_bundle: Path) -> None:
    laid = LaidOver(tiny_bundle)
    titles = [record.title for record in BUNDLED.values()]
    columns = [[GTIN, *(None for _ in titles[1:])]]
    table = IdentifierTable.of({IdentifierKind.GTIN: columns})
    recommender = laid.bundle.recommender.with_products(
        laid.bundle.recommender.retriever,
        laid.bundle.recommender.catalogue,
        signals=Signals(titles, identifiers=table),
    )
    record = SignalsRecord(identifiers=(COLUMN,))
    manifest = laid.bundle.manifest.model_copy(update={"signals": record})
    generation = Generation.of(
        replace(laid.bundle, recommender=recommender, manifest=manifest), number=1
    )

    def named(generation: Generation) -> list[tuple[str, bool]]:
        (answer,) = generation.bundle.recommender.recommend([f"canon cable {GTIN}"], k=100)
        return [(one.product_id, one.matched_by is not None) for one in answer.recommendations]

    assert named(generation)[0] == ("p-1", True)
    laid.put("other", "Sony Silver")
    laid.put("new", "Nikon Silver", brand=GTIN)
    laid.delete("p-1")
    for number in (2, 3):  # the second time over signals that were changed before
        generation = generation.serving(laid.overlay.served(), number=number)
        assert named(generation)[0] == ("new", True)
        assert "p-1" not in dict(named(generation))
    laid.delete("new")
    generation = generation.serving(laid.overlay.served(), number=4)
    assert not any(is_named for _, is_named in named(generation))

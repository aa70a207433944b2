"""Changes laid over the tiny bundle, without a service around them."""

from collections.abc import Mapping
from pathlib import Path

from service.catalogue import Catalogue
from service.opening import open_bundle_to_serve
from service.products.change import Change, ProductRecord
from service.products.encoding import ProductEncoding
from service.products.ground import Base
from service.products.merging import merged
from service.products.overlay import Overlay, carried_over
from tests.tiny import PRODUCTS


def record_of(title: str, **values: str) -> ProductRecord:
    return ProductRecord(title, values)


BUNDLED: Mapping[str, ProductRecord] = {
    product_id: record_of(title, category=category, brand=title.split()[0])
    for product_id, title, category in PRODUCTS
}
"""What the tiny bundle holds."""


class LaidOver:
    """An overlay of a bundle, with the changes that were made."""

    def __init__(self, folder: Path, *, accept_new: bool = False) -> None:
        self.bundle = open_bundle_to_serve(folder)
        recommender = self.bundle.recommender
        self.encoder = recommender.encoder
        self.encoding = ProductEncoding.of(self.bundle)
        catalogue = recommender.catalogue
        assert isinstance(catalogue, Catalogue)
        base = Base.of_bundle(recommender.retriever, catalogue, self.encoder.tokeniser)
        self.accept_new = accept_new
        self.overlay = Overlay(base, accept_new=accept_new)
        self.kept: dict[str, Change] = {}
        self._sequence = 0

    def put(self, product_id: str, title: str, **values: str) -> None:
        self.change(product_id, record_of(title, **values))

    def delete(self, product_id: str) -> None:
        self.change(product_id, None)

    def change(self, product_id: str, product: ProductRecord | None) -> None:
        self._sequence += 1
        change = Change(self._sequence, "", product_id, product)
        self.kept.pop(product_id, None)
        self.kept[product_id] = change
        self.overlay.apply(change, self.encoding.encoded([change]).get(product_id))

    def merge(self) -> None:
        served = self.overlay.served()
        self.overlay = carried_over(
            self.overlay,
            merged(served),
            [one for one in self.kept.values() if one.sequence > served.sequence],
            since=served.sequence,
            accept_new=self.accept_new,
        )

"""What is under way meets the next change, merge or bundle, and nothing is lost."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from service.metrics import Metrics
from service.observers import ProductMetrics
from service.opening import OpenBundle, open_bundle_to_serve
from service.products.change import Change, ProductRecord, WantedChange
from service.products.encoding import ProductEncoding
from service.products.keeper import ProductKeeper
from service.products.log import ChangesLog
from service.products.plan import EncodedChange
from service.products.served import Served
from service.products.terms import KeeperTerms
from tests.gate import put_gate
from tests.informed import inform
from tests.tiny import PRODUCTS, write_bundle

SECONDS = 60.0


class Kept:
    """A keeper over one bundle, and the states that it showed."""

    def __init__(self, folder: Path, changes: Path, *, merge_rows: int) -> None:
        self.bundle = open_bundle_to_serve(folder)
        self.metrics = Metrics()
        self.keeper = ProductKeeper(
            ChangesLog.open(changes),
            KeeperTerms(merge_rows, accept_new=False),
            publish=self._note,
            observer=ProductMetrics(self.metrics),
        )
        self.served = self.keeper.begin(self.bundle)

    def _note(self, served: Served) -> None:
        self.served = served

    def found(self, product_id: str) -> bool:
        ids = self.served.catalogue.product_ids
        return product_id in {ids[row] for row in self.served.live.nonzero()[0].tolist()}

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not holds():
                await asyncio.sleep(0.005)


def put(product_id: str, title: str, bundle: OpenBundle) -> EncodedChange:
    """Return a change as a request leaves it: encoded for a bundle."""
    encoding = ProductEncoding.of(bundle)
    record = ProductRecord(title, {})
    found = encoding.encoded([Change(1, "", product_id, record)])
    return EncodedChange(WantedChange(product_id, record), found[product_id], encoding)


def unlike(change: EncodedChange) -> EncodedChange:
    """Return a change whose product was encoded for a bundle that no bundle here is like."""
    encoding = replace(change.encoding, product_text=("brand",))
    return replace(change, product=None, encoding=encoding)


@pytest.mark.parametrize("is_put_again", [False, True])
def test_a_product_that_is_encoded_during_a_merge_is_served_after_it(
    tiny_bundle: Path, tmp_path: Path, is_put_again: bool
) -> None:
    async def conversation() -> None:
        kept = Kept(tiny_bundle, tmp_path, merge_rows=1)
        late = put("late", "Nikon Silver", kept.bundle)
        again = put("late", "Nikon Black", kept.bundle)
        fresh = [put(f"new-{i}", "Sony Body", kept.bundle) for i in range(2)]
        gate = put_gate(kept.bundle.recommender.encoder)
        gate.open.clear()
        await kept.keeper.commit([unlike(late)])
        assert await asyncio.to_thread(gate.begun.wait, SECONDS)
        await kept.keeper.commit(fresh)  # enough for a merge, which waits behind
        if is_put_again:
            await kept.keeper.commit([again])
        gate.open.set()
        await kept.wait_until(lambda: len(kept.served.catalogue.base) > len(PRODUCTS))
        await kept.wait_until(lambda: not kept.keeper.is_pending("late"))

        title = "Nikon Black" if is_put_again else "Nikon Silver"
        assert kept.keeper.record("late") == ProductRecord(title, {})
        assert kept.found("late")
        await kept.keeper.close()

    asyncio.run(conversation())


def test_what_waits_for_the_encoder_of_a_bundle_swapped_in_is_encoded_by_it(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    async def conversation() -> None:
        kept = Kept(tiny_bundle, tmp_path / "changes", merge_rows=100)
        write_bundle(tmp_path / "other", seed=1)
        other = open_bundle_to_serve(tmp_path / "other")
        kept.keeper.prepare(other)
        late = unlike(put("late", "Nikon Silver", kept.bundle))
        gate = put_gate(kept.bundle.recommender.encoder)
        gate.open.clear()
        await kept.keeper.commit([late])
        assert await asyncio.to_thread(gate.begun.wait, SECONDS)
        kept.served = kept.keeper.begin(other)
        assert kept.keeper.is_pending("late")
        gate.open.set()

        await kept.wait_until(lambda: kept.found("late"))
        await kept.keeper.close()

    asyncio.run(conversation())


def test_rows_of_products_put_again_and_again_are_let_go_where_no_merge_can_be(
    tmp_path: Path,
) -> None:
    async def conversation() -> None:
        write_bundle(tmp_path / "bundle")
        inform(tmp_path / "bundle", lexical=True)
        kept = Kept(tmp_path / "bundle", tmp_path / "changes", merge_rows=4)
        for i in range(4):
            await kept.keeper.commit([put(f"new-{i}", "Sony Body", kept.bundle)])
        for i in range(40):
            title = ("Nikon Silver", "Nikon Black")[i % 2]
            await kept.keeper.commit([put("new-0", title, kept.bundle)])

        await kept.wait_until(lambda: len(kept.served.fresh_records) <= 8)
        assert all(kept.found(f"new-{i}") for i in range(4))
        await kept.keeper.close()

    asyncio.run(conversation())

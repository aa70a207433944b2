"""Both clients change products of the service itself, and read what it says of them."""

from collections.abc import Generator
from pathlib import Path

import pytest
from surematch_client import (
    ApiError,
    DeleteProduct,
    InvalidResponseError,
    Outcome,
    ProductChange,
    PutProduct,
    Reason,
    ServedProduct,
)
from surematch_client.products import change_call, get_call, put_call

from tests.process import service_process
from tests.surematch_client.both_clients import Ask, ask_async, ask_sync


@pytest.fixture(scope="module")
def address(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The base URL of a service whose products can be changed."""
    folder = tmp_path_factory.mktemp("products")
    arguments = ["--bundle", str(tiny_bundle), "--port", "0", "--changes-folder", str(folder / "c")]
    with service_process(folder / "log", *arguments) as process:
        yield process.ready_address()


@pytest.mark.parametrize("ask", [ask_sync, ask_async])
def test_a_product_is_put_found_and_deleted(ask: Ask, address: str) -> None:
    product_id = "new/1 .."
    put = ask(address, lambda c: c.put_product(product_id, "Nikon Silver", {"brand": "Nikon"}))
    served = ask(address, lambda c: c.get_product(product_id))
    found = ask(address, lambda c: c.recommend(["nikon silver"], fields=["brand"])).results[0]
    gone = ask(address, lambda c: c.delete_product(product_id))

    assert (put, put.is_made) == (ProductChange(product_id, Outcome.CREATED), True)
    assert served == ServedProduct(
        product_id,
        "Nikon Silver",
        {"category": None, "brand": "Nikon"},
        newer_than_calibration=True,
        pending=False,
    )
    assert found.reason is Reason.STALE_OPERATING_POINT
    assert found.recommendations[0].product_id == product_id
    assert gone.outcome is Outcome.DELETED
    for action in (lambda c: c.get_product(product_id), lambda c: c.delete_product(product_id)):
        with pytest.raises(ApiError) as error:
            ask(address, action)
        assert (error.value.status, error.value.code) == (404, "unknown_product")


@pytest.mark.parametrize("ask", [ask_sync, ask_async])
def test_each_of_many_changes_gets_its_own_answer(ask: Ask, address: str) -> None:
    changes = [
        PutProduct("a", "Nikon Silver"),
        PutProduct("b", ""),
        DeleteProduct("nobody"),
        PutProduct("c\n", "x"),
        PutProduct("a", "Nikon \ud800 Black", {"brand": "Nikon"}),
    ]
    made = ask(address, lambda c: c.change_products(changes))

    assert [one.outcome for one in made] == [
        *(Outcome.SUPERSEDED, Outcome.INVALID, Outcome.NOT_FOUND, Outcome.INVALID),
        made[4].outcome,
    ]
    assert [one.product_id for one in made] == ["a", "b", "nobody", "c\n", "a"]
    assert [one.is_made for one in made] == [False, False, False, False, True]
    assert [one.error is None for one in made] == [True, False, False, False, True]
    assert ask(address, lambda c: c.change_products([])) == []


def test_a_field_cannot_take_the_place_of_the_title_or_the_id() -> None:
    for name in ("title", "product_id", "op"):
        with pytest.raises(ValueError, match=f"fields hold {name}"):
            put_call(PutProduct("a", "x", {name: "y"}))


def test_what_is_no_answer_is_refused() -> None:
    product = {"product_id": "a", "title": "x", "fields": {}, "pending": False}
    with pytest.raises(InvalidResponseError):
        get_call("a").read(product)
    read = change_call([DeleteProduct("a"), DeleteProduct("b")]).read
    line = {"line": 1, "op": "delete", "product_id": "a", "outcome": "deleted"}
    for lines in ([], [line], [line, line], [line, {**line, "line": 3}], {}):
        with pytest.raises(InvalidResponseError):
            read(lines)
    told = read([line, {**line, "line": 2, "outcome": "postponed"}])
    assert [one.outcome for one in told] == [Outcome.DELETED, "postponed"]

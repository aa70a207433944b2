import numpy as np
import pytest

from export import index_choice
from export.index_choice import IndexWish, choose
from export.index_families import size_bytes
from export.index_measures import Yardstick
from service.contract.errors import ConfigError
from service.contract.retriever_record import Family
from service.retrievers import Retriever
from tests.clustered import clustered_units, near

PRODUCTS = clustered_units(1500, 16)
QUERIES = near(PRODUCTS, 100)
AUTO = IndexWish(recall=0.9)


@pytest.fixture(autouse=True)
def large_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_choice, "SMALL", 1000)


def timed(**milliseconds: float) -> Yardstick:
    """Return a yardstick by which a family takes so long, and any other ten."""

    def stopwatch(retriever: Retriever, _: np.ndarray) -> float:
        return milliseconds.get(retriever.family, 10.0)

    return Yardstick.of(PRODUCTS, QUERIES, stopwatch=stopwatch)


def taken(wanted: IndexWish, yardstick: Yardstick, products: np.ndarray = PRODUCTS) -> Family:
    return choose(products, wanted, yardstick).taken.built.family


@pytest.mark.parametrize("fastest", [Family.IVF, Family.HNSW, Family.IVFPQ])
def test_the_fastest_family_is_taken(fastest: Family) -> None:
    choice = choose(PRODUCTS, AUTO, timed(flat=30.0, **{fastest: 1.0}))

    assert choice.taken.built.family is fastest
    assert (choice.taken.milliseconds, choice.flat_ms) == (1.0, 30.0)


def test_the_exact_index_stays_unless_another_is_twice_as_fast() -> None:
    assert taken(AUTO, timed(flat=3.9, ivf=2.0)) is Family.FLAT
    assert taken(AUTO, timed(flat=4.0, ivf=2.0)) is Family.IVF


def test_a_small_catalogue_stays_exact_however_slow_that_is() -> None:
    assert taken(AUTO, timed(flat=1000.0, ivf=1.0), PRODUCTS[:1000]) is Family.FLAT


def test_a_graph_is_not_tried_by_itself_where_it_takes_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_choice, "SLOW_TO_BUILD", 1400)
    yardstick = timed(flat=30.0, hnsw=0.1, ivf=1.0)

    assert taken(AUTO, yardstick) is Family.IVF
    assert taken(IndexWish(Family.HNSW, recall=0.9), yardstick) is Family.HNSW


@pytest.mark.parametrize("family", Family)
def test_the_family_asked_for_is_taken_however_slow(family: Family) -> None:
    assert taken(IndexWish(family, recall=0.9), timed(**{family: 1e6})) is family


def test_memory_decides_what_may_be_taken() -> None:
    yardstick = timed(flat=0.1, ivf=1.0, hnsw=1.0, ivfpq=2.0, int8=0.5)
    room = {family: size_bytes(family, 1500, 16) for family in Family}

    def within(memory_bytes: int) -> Family:
        return taken(IndexWish(recall=0.9, memory_bytes=memory_bytes), yardstick)

    assert within(room[Family.FLAT]) is Family.FLAT
    assert within(room[Family.FLAT] - 1) is Family.IVFPQ


def test_rounded_numbers_are_taken_where_nothing_fast_has_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_choice, "FAST", (Family.HNSW,))
    room = size_bytes(Family.INT8, 1500, 16)

    assert taken(IndexWish(recall=0.9, memory_bytes=room), timed()) is Family.INT8


@pytest.mark.parametrize("family", [None, *Family])
def test_too_little_memory_is_refused_in_one_line(family: Family | None) -> None:
    with pytest.raises(ConfigError, match="--index") as error:
        choose(PRODUCTS, IndexWish(family, recall=0.9, memory_bytes=100), timed())

    assert "\n" not in str(error.value)


def test_where_no_index_has_room_it_is_said_how_much_the_smallest_needs() -> None:
    least = min(size_bytes(family, *PRODUCTS.shape) for family in Family)
    said = f"the ivfpq index of 1500 products needs {least / 1e9:.2g} GB, --index-memory allows"

    with pytest.raises(ConfigError, match=said):
        choose(PRODUCTS, IndexWish(recall=0.9, memory_bytes=least - 1), timed())


def test_who_lets_the_memory_decide_is_not_sent_to_an_index_without_room() -> None:
    unreachable = Yardstick(QUERIES, np.full(100, 2.0, dtype=np.float32), lambda *_: 1.0)
    room = size_bytes(Family.INT8, *PRODUCTS.shape)

    with pytest.raises(ConfigError, match=r"lower --recall, or allow more --index-memory$"):
        choose(PRODUCTS, IndexWish(recall=0.9, memory_bytes=room), unreachable)


@pytest.mark.parametrize("family", [family for family in Family if family != Family.FLAT])
def test_a_recall_that_a_family_cannot_reach_is_refused(family: Family) -> None:
    unreachable = Yardstick(QUERIES, np.full(100, 2.0, dtype=np.float32), lambda *_: 1.0)

    with pytest.raises(ConfigError, match=f"the {family} index does not find 0.9 of the ten"):
        choose(PRODUCTS, IndexWish(family, recall=0.9), unreachable)


def test_codes_of_a_handful_of_products_are_refused() -> None:
    few = PRODUCTS[:15]

    with pytest.raises(ConfigError, match="ivfpq needs 16 products, there are 15"):
        choose(few, IndexWish(Family.IVFPQ), Yardstick.of(few, QUERIES, stopwatch=lambda *_: 1.0))

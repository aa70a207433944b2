import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.offers import EASY, HARD, MOST_UNKNOWN, Mix, Shops, mix_at
from training.data.synthetic import make_market

PRODUCTS = 40


@given(st.floats(0, 1e6), st.floats(1, 1e5))
def test_a_mix_is_between_the_easiest_and_the_hardest(seconds: float, period: float) -> None:
    mix = mix_at(seconds, period_seconds=period)

    assert 0 <= mix.hardness <= 1
    assert 0 <= mix.unknown <= MOST_UNKNOWN
    assert EASY.misspelt <= mix.noise.misspelt <= HARD.misspelt


@pytest.mark.parametrize(
    ("seconds", "hardness"), [(0, 0.0), (25, 0.5), (50, 1.0), (75, 0.5), (100, 0.0), (150, 1.0)]
)
def test_the_mix_swings_once_a_period(seconds: float, hardness: float) -> None:
    assert mix_at(seconds, period_seconds=100).hardness == pytest.approx(hardness)


def test_the_easiest_mix_is_of_the_catalogue_and_the_hardest_half_of_nowhere() -> None:
    brands = {
        one.product.attributes["brand"].lower() for one in make_market(PRODUCTS, seed=0).catalogue
    }

    def known(hardness: float) -> float:
        texts = list(Shops(PRODUCTS, seed=3).offers(400, Mix(hardness)))
        return sum(any(brand in text.lower() for brand in brands) for text in texts) / len(texts)

    assert known(0.0) > 0.8
    assert known(1.0) < 0.5


def test_shops_of_one_seed_repeat_themselves_and_those_of_another_do_not() -> None:
    first = list(Shops(PRODUCTS, seed=1).offers(20, Mix(0.5)))

    assert list(Shops(PRODUCTS, seed=1).offers(20, Mix(0.5))) == first
    assert list(Shops(PRODUCTS, seed=2).offers(20, Mix(0.5))) != first
    assert all(text.strip() for text in first)

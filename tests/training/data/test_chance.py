from collections import Counter

import pytest

from training.data.chance import Chance


def test_a_stream_is_what_it_always_was() -> None:
    chance = Chance(7, "colours")

    assert [chance.below(1_000) for _ in range(5)] == [338, 477, 122, 107, 521]
    assert chance.several("abcdef", 3) == ["a", "d", "f"]


@pytest.mark.parametrize(("seed", "name"), [(8, "colours"), (7, "sizes")])
def test_another_seed_or_name_is_another_stream(seed: int, name: str) -> None:
    assert Chance(seed, name).share() != Chance(7, "colours").share()


def test_draws_are_as_likely_as_they_say() -> None:
    chance = Chance(1, "many")

    times = Counter(chance.below(4) for _ in range(8_000))
    happened = sum(chance.happens(0.3) for _ in range(8_000))

    assert sorted(times) == [0, 1, 2, 3]
    assert min(times.values()) > 1_850
    assert happened / 8_000 == pytest.approx(0.3, abs=0.02)
    assert not any(chance.happens(0.0) for _ in range(100))
    assert all(chance.happens(1.0) for _ in range(100))


def test_several_are_different_and_in_order() -> None:
    chance = Chance(1, "several")

    drawn = [tuple(chance.several(range(6), 3)) for _ in range(200)]

    assert all(len(set(some)) == 3 and list(some) == sorted(some) for some in drawn)
    assert len(set(drawn)) == 20
    assert chance.several("ab", 5) == ["a", "b"]

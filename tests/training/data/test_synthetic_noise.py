from dataclasses import fields, replace

import pytest

from training.data.chance import Chance
from training.data.synthetic_noise import Noise, write_offer

PARTS = (
    ("brand", "Halvor"),
    ("series", "Nimbola"),
    ("model", "XR310"),
    ("suffix", "Plus"),
    ("noun", "Smartphone"),
    ("storage", "64GB"),
    ("colour", "Black"),
)
TITLE = "Halvor Nimbola XR310 Plus Smartphone 64GB Black"
SILENCE = Noise(**{field.name: 0.0 for field in fields(Noise)})


def texts(noise: Noise, *, number: int = 300) -> set[str]:
    chance = Chance(0, "offers")
    return {write_offer(PARTS, chance, noise).text for _ in range(number)}


def test_without_noise_an_offer_is_the_title() -> None:
    assert texts(SILENCE) == {TITLE}


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        ("lower", "halvor nimbola xr310 plus smartphone 64gb black"),
        ("respelt", "Halvor Nimbola XR310 + phone 64g blk"),
        ("model_parted", "Halvor Nimbola XR-310 Plus Smartphone 64GB Black"),
        ("name_dropped", "Nimbola XR310 Plus Smartphone 64GB Black"),
        ("attribute_dropped", "Halvor Nimbola XR310 Plus Smartphone"),
        ("moved", "Black Halvor Nimbola XR310 Plus Smartphone 64GB"),
        ("misspelt", "Hallvor Nimbola XR310 Plus Smartphone 64GB Black"),
        ("boilerplate", f"free delivery {TITLE}"),
        ("bundle", f"{TITLE} with case"),
    ],
)
def test_each_kind_of_noise_does_what_it_says(kind: str, example: str) -> None:
    assert example in texts(replace(SILENCE, **{kind: 1.0}))


@pytest.mark.parametrize(
    ("language", "example"),
    [
        ("german", "Halvor Nimbola XR310 plus handy 64 gb schwarz"),
        ("french", "Halvor Nimbola XR310 plus téléphone 64 go noir"),
    ],
)
def test_an_offer_speaks_one_language(language: str, example: str) -> None:
    assert example in texts(replace(SILENCE, respelt=1.0, **{language: 1.0}))


def test_a_stock_code_is_a_number_of_its_own() -> None:
    written = texts(replace(SILENCE, stock_code=1.0))

    assert len(written) > 250
    assert all(text.startswith(TITLE) for text in written)


def test_the_parts_that_are_still_there_are_told() -> None:
    noise = replace(SILENCE, attribute_dropped=1.0)

    assert write_offer(PARTS, Chance(0, "x"), noise).kept == (
        "brand",
        "series",
        "model",
        "suffix",
        "noun",
    )


def test_a_slip_never_touches_a_number_or_the_ends_of_a_word() -> None:
    for text in texts(replace(SILENCE, misspelt=1.0)):
        words = text.split()
        assert words[2] == "XR310"
        assert words[5] == "64GB"
        assert [word[0] for word in words] == [word[0] for word in TITLE.split()]

"""Invents a catalogue in which sibling models differ by one word."""

from collections.abc import Generator
from dataclasses import dataclass
from itertools import count, product

from training.data.chance import Chance
from training.data.products import Product
from training.data.synthetic_words import (
    BRAND_ENDS,
    BRAND_STARTS,
    CATEGORIES,
    SERIES_ENDS,
    SERIES_STARTS,
    SUFFIXES,
    CategoryPlan,
)

MADE_SHARE = 0.85
"""Share of the conceivable variants of a model that are made at all."""

NUMBER_STEPS = (5, 10, 20, 50, 100)
"""How far the numbers of two models of one family lie apart."""

Part = tuple[str, str]
"""Name and value of a part of a title, such as ``("colour", "Black")``."""


@dataclass(frozen=True, slots=True)
class Invented:
    """A product with the parts of its title, in their order; siblings share their family."""

    product: Product
    parts: tuple[Part, ...]
    family: int


def inventions(seed: int) -> Generator[Invented]:
    """Yield products without end, family by family, no two with one title."""
    titles: set[str] = set()
    for one in _products(seed):
        if one.product.title not in titles:
            titles.add(one.product.title)
            yield one


def attribute_names() -> tuple[str, ...]:
    """Return the names of all attributes that an invented product may have."""
    return ("brand", *dict.fromkeys(name for plan in CATEGORIES for name in plan.attributes))


def _products(seed: int) -> Generator[Invented]:
    numbers = count(1)
    for family in count():
        chance = Chance(seed, f"family {family}")
        plan = CATEGORIES[family % len(CATEGORIES)]
        for parts in _family(plan, chance):
            title = " ".join(value for _, value in parts)
            attributes = {name: value for name, value in parts if name in attribute_names()}
            product_id = f"s-{next(numbers):05d}"
            yield Invented(Product(product_id, title, plan.path, attributes), parts, family)


def _family(plan: CategoryPlan, chance: Chance) -> Generator[tuple[Part, ...]]:
    """Yield the parts of every variant of every model of one series."""
    brand = chance.choose(BRAND_STARTS) + chance.choose(BRAND_ENDS)
    series = chance.choose(SERIES_STARTS) + chance.choose(SERIES_ENDS)
    choices = [
        [(name, value) for value in chance.several(values, 1 + chance.below(3))]
        for name, values in plan.attributes.items()
    ]
    for model in _models(chance):
        for attributes in product(*choices):
            if chance.happens(MADE_SHARE):
                yield (
                    ("brand", brand),
                    ("series", series),
                    *model,
                    ("noun", plan.noun),
                    *attributes,
                )


def _models(chance: Chance) -> list[tuple[Part, ...]]:
    """Return two or three models of one series: other numbers, or one with a suffix."""
    letters = "".join(chance.choose("ABCDEGHKLMRSTVXZ") for _ in range(1 + chance.below(2)))
    number = 100 + 10 * chance.below(80)
    step = chance.choose(NUMBER_STEPS)
    suffix = chance.choose(SUFFIXES)
    models: list[tuple[Part, ...]] = [
        (("model", f"{letters}{number}"),),
        (("model", f"{letters}{number + step}"),),
    ]
    if suffix:
        models.append((("model", f"{letters}{number}"), ("suffix", suffix)))
    return models

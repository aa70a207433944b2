from collections import defaultdict
from itertools import islice

from training.data.synthetic_catalogue import Invented, attribute_names, inventions
from training.data.synthetic_words import CATEGORIES


def some(number: int, *, seed: int = 0) -> list[Invented]:
    return list(islice(inventions(seed), number))


def test_titles_and_ids_are_unique() -> None:
    products = [one.product for one in some(1_500)]

    assert len({product.title for product in products}) == 1_500
    assert len({product.product_id for product in products}) == 1_500


def test_a_longer_catalogue_begins_with_the_shorter_one() -> None:
    assert some(300)[:100] == some(100)
    assert some(100) != some(100, seed=1)


def test_most_products_have_a_sibling_that_differs_by_one_word() -> None:
    invented = some(600)
    family: dict[int, list[Invented]] = defaultdict(list)
    for one in invented:
        family[one.family].append(one)

    with_sibling = sum(
        any(len(set(one.parts) ^ set(other.parts)) == 2 for other in family[one.family])
        for one in invented
    )

    assert with_sibling / len(invented) > 0.8


def test_every_category_is_there_with_its_attributes() -> None:
    products = [one.product for one in some(600)]

    assert {product.category for product in products} == {plan.path for plan in CATEGORIES}
    for product in products:
        assert set(product.attributes) <= set(attribute_names())
        assert all(value in product.title for value in product.attributes.values())


def test_the_first_products_are_what_they_always_were() -> None:
    assert [one.product.title for one in some(3)] == [
        "Marmarc Glysar X520 Smartphone 64GB Black",
        "Marmarc Glysar X520 Smartphone 256GB Black",
        "Marmarc Glysar X620 Smartphone 64GB Black",
    ]

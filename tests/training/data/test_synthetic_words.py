import pytest

from training.data.synthetic_words import (
    CATEGORIES,
    SPELLINGS,
    SUFFIXES,
    UNITS,
    CategoryPlan,
    Spellings,
)

WORDS = sorted(
    {value for plan in CATEGORIES for values in plan.attributes.values() for value in values}
    | {plan.noun for plan in CATEGORIES}
    | {suffix for suffix in SUFFIXES if suffix}
)


def spellings(word: str) -> Spellings:
    return SPELLINGS.get(word) or UNITS[word.lstrip("0123456789").strip()]


def ways(word: str) -> set[str]:
    """Return all ways to write a word, itself among them."""
    number = word[: len(word) - len(word.lstrip("0123456789"))]
    found = spellings(word)
    written = [*found.short, *found.german, *found.french]
    return {word.lower(), *(way.format(number).lower() for way in written)}


@pytest.mark.parametrize("word", WORDS)
def test_every_word_of_a_title_can_be_written_another_way_in_each_language(word: str) -> None:
    assert all((spellings(word).short, spellings(word).german, spellings(word).french))


@pytest.mark.parametrize("plan", CATEGORIES, ids=lambda plan: plan.noun)
def test_no_way_to_write_a_value_means_another_value_of_its_attribute(plan: CategoryPlan) -> None:
    for values in plan.attributes.values():
        written = [way for value in values for way in ways(value)]

        assert len(written) == len(set(written))

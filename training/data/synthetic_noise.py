"""Writes products the way shops do: shortened, translated, jumbled, with words of the shop."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.data.chance import Chance
from training.data.synthetic_catalogue import Part
from training.data.synthetic_words import BOILERPLATE, BUNDLES, SPELLINGS, UNITS, Spellings

NAMES = ("brand", "series", "noun")
"""Parts that shops leave out without making the product unclear."""

SHORTEST_TYPO = 5
"""Letters that a word has at least if it is misspelt."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How often shops do what, each a probability in [0, 1].

    Attributes:
        german: the offer is in German, as far as words have a translation.
        french: the offer is in French.
        respelt: a word or a unit is written another way than in the catalogue.
        model_parted: a model's letters and number are parted.
        name_dropped: the brand, the series or the noun is left out, one of them.
        attribute_dropped: an attribute is left out, which may leave several products possible.
        moved: a part stands at another place.
        misspelt: a word of the offer has a letter too many, too few or out of order.
        boilerplate: words about the shop.
        stock_code: the shop's own number.
        bundle: something that comes with it.
        lower: all in lower case.
        mistaken: the text describes a sibling.
    """

    german: float = 0.18
    french: float = 0.10
    respelt: float = 0.6
    model_parted: float = 0.35
    name_dropped: float = 0.4
    attribute_dropped: float = 0.02
    moved: float = 0.3
    misspelt: float = 0.2
    boilerplate: float = 0.4
    stock_code: float = 0.3
    bundle: float = 0.1
    lower: float = 0.7
    mistaken: float = 0.005


@dataclass(frozen=True, slots=True)
class Offer:
    """The text of a shop and the names of the parts of the title that are still in it."""

    text: str
    kept: tuple[str, ...]


def write_offer(parts: Sequence[Part], chance: Chance, noise: Noise) -> Offer:
    """Return one shop's text for a product with these parts."""
    kept = _kept(parts, chance, noise)
    language = _language(chance, noise)
    words = [_written(part, language, chance, noise) for part in kept]
    if chance.happens(noise.moved):
        words.insert(chance.below(len(words)), words.pop(chance.below(len(words))))
    if chance.happens(noise.misspelt):
        place = chance.below(len(words))
        words[place] = _misspelt(words[place], chance)
    text = " ".join(_with_extras(words, chance, noise))
    text = text.lower() if chance.happens(noise.lower) else text
    return Offer(text, tuple(name for name, _ in kept))


def _kept(parts: Sequence[Part], chance: Chance, noise: Noise) -> list[Part]:
    dropped = {chance.choose(NAMES)} if chance.happens(noise.name_dropped) else set[str]()
    fixed = {*NAMES, "model", "suffix"}
    return [
        (name, value)
        for name, value in parts
        if name not in dropped and (name in fixed or not chance.happens(noise.attribute_dropped))
    ]


def _language(chance: Chance, noise: Noise) -> str:
    share = chance.share()
    if share < noise.german:
        return "german"
    return "french" if share < noise.german + noise.french else "short"


def _written(part: Part, language: str, chance: Chance, noise: Noise) -> str:
    name, value = part
    if name == "model":
        letters = value.rstrip("0123456789")
        number = value.removeprefix(letters)
        parted = chance.happens(noise.model_parted)
        return f"{letters}{chance.choose('- ')}{number}" if parted else value
    if name in ("brand", "series") or not chance.happens(noise.respelt):
        return value
    return _respelt(value, language, chance)


def _respelt(value: str, language: str, chance: Chance) -> str:
    if value in SPELLINGS:
        return chance.choose(_forms(SPELLINGS[value], language))
    number = value[: len(value) - len(value.lstrip("0123456789"))]
    unit = value.removeprefix(number).strip()
    return chance.choose(_forms(UNITS[unit], language)).format(number)


def _forms(spellings: Spellings, language: str) -> tuple[str, ...]:
    if language == "german":
        return spellings.german
    return spellings.french if language == "french" else spellings.short


def _misspelt(word: str, chance: Chance) -> str:
    """Return a word with one slip; a number is never touched, it would name a sibling."""
    if not word.isalpha() or len(word) < SHORTEST_TYPO:
        return word
    place = 1 + chance.below(len(word) - 2)
    before, here, after = word[:place], word[place], word[place + 1 :]
    return chance.choose(
        (before + after, before + here + here + after, before + after[0] + here + after[1:])
    )


def _with_extras(words: Sequence[str], chance: Chance, noise: Noise) -> list[str]:
    extended = list(words)
    if chance.happens(noise.bundle):
        extended.append(chance.choose(BUNDLES))
    if chance.happens(noise.stock_code):
        code = 10_000 + chance.below(90_000)
        extended.append(chance.choose(("SKU {}", "#{}", "art. {}", "({})")).format(code))
    if chance.happens(noise.boilerplate):
        place = 0 if chance.happens(1 / 3) else len(extended)
        extended.insert(place, chance.choose(BOILERPLATE))
    return extended

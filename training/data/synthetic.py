"""Makes up a catalogue and the offers of shops, as hard as real ones and free to share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from service.contract.errors import UsageError
from training.data.chance import Chance
from training.data.matches import RELEVANT, LabelledQuery
from training.data.products import Products
from training.data.sources import Delivery, Order
from training.data.splits import SplitShares
from training.data.synthetic_catalogue import Invented, attribute_names, inventions
from training.data.synthetic_noise import Noise, Offer, write_offer

PRODUCTS = 600
"""Size of the catalogue where nobody says another: a demonstration takes minutes with it."""

UNLISTED_SHARE = 0.08
"""Share of the products that are made but not listed; their offers have no product."""

UNLISTED_OFFERS = 0.3
"""How many offers such a product has, compared with one of the catalogue."""

OFFERS = NormalDist(1.4, 1.1)
"""Natural logarithm of the number of offers of a product: the median is 4, few have 50."""

SHARES = SplitShares(train=0.64, validation=0.09, calibration=0.16, test=0.12)
"""More is held out than elsewhere: a promise needs many labels, a demonstration few steps."""


@dataclass(frozen=True, slots=True)
class MadeOffer:
    """An offer with the product that it is an offer of."""

    of: Invented
    offer: Offer
    is_listed: bool


@dataclass(frozen=True, slots=True)
class Market:
    """A catalogue and the offers of shops."""

    catalogue: list[Invented]
    offers: list[MadeOffer]


def make_synthetic(order: Order) -> Delivery:
    """Make up products and offers; the same seed and size give the same bytes anywhere.

    Raises:
        UsageError: if fewer than one product is asked for.
    """
    market = make_market(order.products, seed=order.seed)
    products = Products(tuple(one.product for one in market.catalogue), attribute_names())
    queries = [_query(row, made) for row, made in enumerate(market.offers, start=1)]
    return Delivery(products, queries, SHARES)


def make_market(products: int | None, *, seed: int, noise: Noise | None = None) -> Market:
    """Return a catalogue of so many products with offers of them and of some of their siblings.

    Raises:
        UsageError: if fewer than one product is asked for.
    """
    number = PRODUCTS if products is None else products
    if number < 1:
        message = f"--products {number} makes no catalogue; name a number of at least 1"
        raise UsageError(message)
    listed, unlisted = _stock(number, seed=seed)
    family: dict[int, list[Invented]] = {}
    for one in [*listed, *unlisted]:
        family.setdefault(one.family, []).append(one)
    offers: list[MadeOffer] = []
    for stock, share in ((listed, 1.0), (unlisted, UNLISTED_OFFERS)):
        for one in stock:
            chance = Chance(seed, f"offers of {one.product.product_id}")
            for _ in range(_number_of_offers(chance, share)):
                offer = _offer(one, family[one.family], chance, noise or Noise())
                offers.append(MadeOffer(one, offer, stock is listed))
    return Market(listed, offers)


def _stock(number: int, *, seed: int) -> tuple[list[Invented], list[Invented]]:
    chance = Chance(seed, "unlisted")
    listed: list[Invented] = []
    unlisted: list[Invented] = []
    for one in inventions(seed):
        (unlisted if chance.happens(UNLISTED_SHARE) else listed).append(one)
        if len(listed) == number:
            break
    return listed, unlisted


def _number_of_offers(chance: Chance, share: float) -> int:
    quantile = min(max(chance.share(), 1e-6), 1 - 1e-6)
    return round(share * math.exp(OFFERS.inv_cdf(quantile)))


def _offer(one: Invented, family: Sequence[Invented], chance: Chance, noise: Noise) -> Offer:
    described = chance.choose(family) if chance.happens(noise.mistaken) else one
    return write_offer(described.parts, chance, noise)


def _query(row: int, made: MadeOffer) -> LabelledQuery:
    positives = (made.of.product.product_id,) if made.is_listed else ()
    return LabelledQuery(
        query_id=f"offer-{row:05d}",
        text=made.offer.text,
        positives=positives,
        split=None,
        user_id=None,
        grades=dict.fromkeys(positives, RELEVANT),
        row=row,
    )

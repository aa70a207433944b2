"""Deals queries into train, validation, calibration and test, the same way every time.

Every choice is a hash of the seed and of what is dealt, so that it depends on neither the order
of the rows nor the other rows.
"""

import hashlib
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace

from service.contract.errors import DataError, UsageError
from service.contract.text import normalise
from training.data.matches import SPLITS, LabelledQuery

UNSEEN_SHARE = 0.15
"""Share of the products that no query in train asks for, where nobody says another."""

TRAIN, VALIDATION, CALIBRATION, TEST = SPLITS


@dataclass(frozen=True, slots=True)
class SplitShares:
    """Shares of the texts that each split would get if no product were unseen.

    What is kept out of train for its unseen product goes to the others in their proportions: with
    15 % unseen products these shares end at about 60, 10, 17 and 13 %.
    """

    train: float = 0.70
    validation: float = 0.075
    calibration: float = 0.1275
    test: float = 0.0975

    def held_out(self, place: float) -> str:
        """Return the split other than train at ``place``, in [0, 1)."""
        scaled = place * (self.validation + self.calibration + self.test)
        if scaled < self.calibration:
            return CALIBRATION
        return TEST if scaled < self.calibration + self.test else VALIDATION


def text_key(text: str) -> str:
    """Return what two texts must share to count as one text."""
    return normalise(text)


def text_digest(text: str) -> str:
    """Return 16 hex digits that stand for a text, the same for all texts that normalise alike."""
    return hashlib.blake2b(text_key(text).encode(), digest_size=8).hexdigest()


def deal(
    queries: Iterable[LabelledQuery],
    *,
    seed: int,
    unseen_share: float = UNSEEN_SHARE,
    shares: SplitShares | None = None,
) -> list[LabelledQuery]:
    """Return the queries with their splits; a text lies in one split only.

    In train, queries of one text become one query with all their positives. Held out (in any
    other split) a text is one row: of the queries that share it one is drawn. Some products are
    *unseen*: a query that has one as a positive is held out, and so is a query that has no
    product or no text.

    Args:
        queries: labelled queries; a split they have already is forgotten.
        seed: another seed deals another way.
        unseen_share: share of the products that are unseen, in [0, 1).
        shares: how many texts each split gets.

    Raises:
        UsageError: if ``unseen_share`` is out of its range.
    """
    if not 0 <= unseen_share < 1:
        message = f"the share of unseen products is {unseen_share}; name one from 0 to below 1"
        raise UsageError(message)
    shares = shares or SplitShares()
    dealt: list[LabelledQuery] = []
    for key, same_text in _by_text(queries).items():
        products = {product_id for query in same_text for product_id in query.positives}
        is_unseen = any(place(seed, "unseen", p) < unseen_share for p in products)
        is_trainable = bool(key) and bool(products) and not is_unseen
        if is_trainable and place(seed, "train", key) < shares.train:
            dealt.append(replace(_merged(same_text, seed=seed), split=TRAIN))
        else:
            split = shares.held_out(place(seed, "held out", key))
            dealt.append(replace(_drawn(same_text, seed=seed), split=split))
    return dealt


def one_per_text(queries: Iterable[LabelledQuery], *, seed: int) -> list[LabelledQuery]:
    """Return one query of each text, drawn by hash, so that no text counts twice.

    Where queries of one text name different products, right is what the drawn one names; a
    query that names several keeps them all.
    """
    return [_drawn(same_text, seed=seed) for same_text in _by_text(queries).values()]


def check_no_leak(queries: Iterable[LabelledQuery], *, published_splits: bool = False) -> None:
    """Check that no text lies in two splits; blank texts may.

    Args:
        queries: labelled queries with their splits.
        published_splits: a text may lie in train and in test, as in published sets.

    Raises:
        DataError: if one does; it names the two queries.
    """
    first_of: dict[str, LabelledQuery] = {}
    for query in queries:
        key = text_key(query.text)
        first = first_of.setdefault(key, query)
        if not key or first.split == query.split:
            continue
        if not published_splits or {first.split, query.split} != {TRAIN, TEST}:
            message = (
                f"query {first.query_id!r} (row {first.row}) is in {first.split} and query "
                f"{query.query_id!r} (row {query.row}) in {query.split}, yet both have one text "
                "once normalised; put both in one split, or leave out the column 'split' and run "
                "`python -m training prepare --from folder`"
            )
            raise DataError(message)


def trained_products(queries: Iterable[LabelledQuery]) -> frozenset[str]:
    """Return the products that at least one query in train has as a positive."""
    return frozenset(p for query in queries if query.split == TRAIN for p in query.positives)


def is_seen(query: LabelledQuery, trained_product_ids: Set[str]) -> bool:
    """Return whether training saw a query of at least one of its positives."""
    return any(product_id in trained_product_ids for product_id in query.positives)


def place(seed: int, purpose: str, what: str) -> float:
    """Return the place of ``what`` in [0, 1): uniform, fixed, independent for each purpose.

    >>> round(place(1, "train", "sony wh-1000xm4"), 6)
    0.985792
    """
    digest = hashlib.sha256(f"{seed}\0{purpose}\0{what}".encode("utf-8", "replace")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def _by_text(queries: Iterable[LabelledQuery]) -> dict[str, list[LabelledQuery]]:
    by_text: dict[str, list[LabelledQuery]] = {}
    for query in queries:
        by_text.setdefault(text_key(query.text), []).append(query)
    return by_text


def _drawn(same_text: Sequence[LabelledQuery], *, seed: int) -> LabelledQuery:
    return min(same_text, key=lambda query: (place(seed, "drawn", query.query_id), query.query_id))


def _merged(same_text: Sequence[LabelledQuery], *, seed: int) -> LabelledQuery:
    """Return one query with the best grade of each product; it keeps a user all agree on."""
    grades: dict[str, int] = {}
    for query in same_text:
        for product_id, grade in query.grades.items():
            grades[product_id] = max(grade, grades.get(product_id, grade))
    users = {query.user_id for query in same_text}
    return replace(
        _drawn(same_text, seed=seed),
        positives=tuple(sorted({p for query in same_text for p in query.positives})),
        user_id=users.pop() if len(users) == 1 else None,
        grades=grades,
    )

"""What can become of a change that somebody wants."""

from enum import StrEnum

from service.products.change import ProductRecord


class Outcome(StrEnum):
    """What became of one change; a closed list, named in the REST interface."""

    CREATED = "created"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"  # the product was like this already
    DELETED = "deleted"
    SUPERSEDED = "superseded"  # a later line of the same body has the same product
    NOT_FOUND = "not_found"
    INVALID = "invalid"
    ENCODER_FAILED = "encoder_failed"
    NOT_KEPT = "not_kept"  # the disk did not take it
    NOT_DONE = "not_done"  # no time or no room was left to do it


class Operation(StrEnum):
    """What a change does."""

    PUT = "put"
    DELETE = "delete"


CHANGES_NOTHING = frozenset({Outcome.UNCHANGED, Outcome.NOT_FOUND})


def outcome_of(before: ProductRecord | None, after: ProductRecord | None) -> Outcome:
    """Return what a change from one state of a product to another is called; None is no product."""
    if after is None:
        return Outcome.NOT_FOUND if before is None else Outcome.DELETED
    if before is None:
        return Outcome.CREATED
    return Outcome.UNCHANGED if before == after else Outcome.REPLACED

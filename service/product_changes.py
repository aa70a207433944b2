"""From wanted changes to kept ones: checked against the catalogue, encoded, and committed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.access.door import Caller
from service.answering import Call
from service.bodies import invalid_request, shown
from service.contract.text import MAX_TEXT_CHARACTERS
from service.generation import Generation
from service.problems import Code, FieldError, ProblemError
from service.product_schemas import Product
from service.products.change import ProductRecord, WantedChange
from service.products.encoding import ProductEncoding, fresh_product
from service.products.keeper import ProductKeeper
from service.products.outcomes import Operation, Outcome
from service.products.plan import EncodedChange
from service.serving import Serving


@dataclass(frozen=True)
class Changing:
    """One request for changes on its way.

    Attributes:
        serving: the state of the app.
        caller: who wants them.
        keeper: keeps changes.
        generation: what answered when the request came; its encoder encodes.
        call: its time.
    """

    serving: Serving
    caller: Caller
    keeper: ProductKeeper
    generation: Generation
    call: Call

    def pay(self, changes: int) -> None:
        """Count changes against the rate of the caller's key, as queries are.

        Raises:
            RateLimitError: if it has asked as much as it may for now.
        """
        self.serving.door.spend(self.caller, changes)

    def check(self, product: Product, *, ours: Sequence[str] = ()) -> None:
        """Check a product against the fields of the catalogue.

        Args:
            product: as it came.
            ours: keys that are no fields.

        Raises:
            ProblemError: 422 if a field is unknown, or the text that is encoded too long.
        """
        known = self.generation.bundle.recommender.catalogue.fields
        have = ", ".join(known) or "none"
        what = f"is no field of the catalogue, which has: {have}"
        unknown = [name for name in product.named if name not in (*known, *ours)]
        if unknown:
            raise invalid_request([FieldError(where=shown(name), what=what) for name in unknown])
        characters = len(self._encoding.text(product.record))
        if characters > MAX_TEXT_CHARACTERS:
            columns = ", ".join(self._encoding.product_text)
            what = f"are {characters} characters together, at most {MAX_TEXT_CHARACTERS} are read"
            raise invalid_request([FieldError(where=columns, what=what)])

    async def make(self, wanted: Sequence[WantedChange]) -> list[Outcome]:
        """Return what became of each change, once they are kept and served.

        Raises:
            BusyError: if so much waits that their texts may not.
            DeadlineError: if the call's time is over.
            StoppedError: if the service stops.
        """
        encoded = await self._encoded(wanted)
        outcomes = [Outcome.ENCODER_FAILED for _ in wanted]
        good = [row for row, one in enumerate(encoded) if one is not None]
        done = await self.keeper.commit([one for one in encoded if one is not None])
        for row, outcome in zip(good, done, strict=True):
            outcomes[row] = outcome
        for one, outcome in zip(wanted, outcomes, strict=True):
            self.serving.metrics.count_product_change(operation_of(one), outcome)
        return outcomes

    @property
    def _encoding(self) -> ProductEncoding:
        return ProductEncoding.of(self.generation.bundle)

    async def _encoded(self, wanted: Sequence[WantedChange]) -> list[EncodedChange | None]:
        """Return the changes with their products encoded; None where the encoder failed."""
        encoding, answering = self._encoding, self.serving.answering
        put: Mapping[int, ProductRecord] = {
            row: one.product for row, one in enumerate(wanted) if one.product is not None
        }
        texts = [encoding.text(record) for record in put.values()]
        tokens = await answering.tokenise(texts, generation=self.generation, call=self.call)
        vectors = await answering.embed(tokens, generation=self.generation, call=self.call)
        found: list[EncodedChange | None] = [EncodedChange(one, None, encoding) for one in wanted]
        for (row, record), text, own, vector in zip(
            put.items(), texts, tokens, vectors, strict=True
        ):
            if vector is None or not np.isfinite(vector).all():
                found[row] = None
                continue
            product = fresh_product(wanted[row].product_id, record, text, own, vector)
            found[row] = EncodedChange(wanted[row], product, encoding)
        return found


def operation_of(wanted: WantedChange) -> Operation:
    """Return what a change does."""
    return Operation.DELETE if wanted.product is None else Operation.PUT


def problem_of_outcome(outcome: Outcome) -> ProblemError | None:
    """Return the problem of a change that was not made; None if it was, or need not be."""
    match outcome:
        case Outcome.NOT_FOUND:
            return ProblemError(Code.UNKNOWN_PRODUCT, "there is no product of this id")
        case Outcome.ENCODER_FAILED:
            detail = "the encoder fails on the text of this product; it was not put: change it"
            return ProblemError(Code.ENCODER_FAILED, detail)
        case Outcome.NOT_KEPT:
            detail = (
                "the disk does not take the change, so it was not made; what is served stays as "
                "it was: make room where the changes are kept, and send it again"
            )
            return ProblemError(Code.CHANGES_NOT_KEPT, detail)
        case _:
            return None

"""How changes of products are served, and who is told of it."""

from dataclasses import dataclass
from typing import Protocol

from service.products.served import Served


@dataclass(frozen=True, slots=True)
class KeeperTerms:
    """How changes are served.

    Attributes:
        merge_rows: products that are searched beside the index before they are merged into it.
        accept_new: whether an answer may be accepted with a product newer than the calibration.
    """

    merge_rows: int
    accept_new: bool


class ProductObserver(Protocol):
    """What is told of the catalogue; on the event loop."""

    def products_served(self, served: Served) -> None:
        """Note a state that is served from now on."""
        ...

    def changes_kept(self, size: int) -> None:
        """Note the bytes of the log."""
        ...

    def products_merged(self, result: str, seconds: float) -> None:
        """Note how a merge ended: ``merged`` or ``superseded``."""
        ...

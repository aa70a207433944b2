"""One generation of the service: an open bundle, with the engines that answer from it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from service.batching.engines import EmbedEngine, RecommendEngine
from service.contract.manifest import Manifest
from service.contract.signals import IdentifierKind
from service.opening import OpenBundle
from service.products.served import Counts, Served
from service.recommender import Rules
from service.signals import Signals


@dataclass(frozen=True, eq=False)
class Generation:
    """What answers a request from its first query to its last.

    Attributes:
        number: 1 for the first one of this process, then counted up, also where products changed.
        bundle: the open bundle.
        recommend: answers texts from it.
        embed: embeds texts with its encoder.
        thresholds: least similarity that is accepted, by the precision promised; None accepts
            nothing.
        rules: what happens to answers found by an identifier, by the precision promised.
        counts: how many products it has, and how many of them are newer than its calibration.
    """

    number: int
    bundle: OpenBundle
    recommend: RecommendEngine
    embed: EmbedEngine
    thresholds: Mapping[float, float | None]
    rules: Mapping[float, Rules]
    counts: Counts

    @classmethod
    def of(cls, bundle: OpenBundle, *, number: int) -> "Generation":
        """Return the generation that answers from ``bundle``."""
        recommender = bundle.recommender
        targets = bundle.manifest.target_precisions
        return cls(
            number,
            bundle,
            recommend=RecommendEngine(recommender),
            embed=EmbedEngine(recommender.encoder),
            thresholds={target: bundle.manifest.threshold_at(target) for target in targets},
            rules={target: bundle.manifest.rules_at(target) for target in targets},
            counts=Counts(products=len(recommender.catalogue)),
        )

    def serving(self, served: Served, *, number: int) -> "Generation":
        """Return the generation that answers from a later state of the catalogue."""
        recommender = self.bundle.recommender.with_products(
            served.retriever, served.catalogue, signals=self._signals_of(served)
        )
        return replace(
            self,
            number=number,
            bundle=replace(self.bundle, recommender=recommender),
            recommend=RecommendEngine(recommender),
            counts=served.counts,
        )

    def _signals_of(self, served: Served) -> Signals | None:
        """Return what is known of queries besides their embeddings, with all changes."""
        signals, record = self.bundle.recommender.signals, self.manifest.signals
        if signals is None or record is None:
            return None
        fresh: dict[int, dict[IdentifierKind, list[str]]] = {}
        for row, product in enumerate(served.fresh_records, start=len(served.catalogue.base)):
            own = fresh.setdefault(row, {})
            for one in record.identifiers:
                if (value := product.value(one.column)) is not None:
                    own.setdefault(one.kind, []).append(value)
        removed = np.flatnonzero(~served.live).tolist()
        return signals.with_changes(served.catalogue.texts, removed=removed, fresh=fresh)

    def target_of(self, wanted: float | None) -> float:
        """Return the precision promised to a caller; the bundle's own where he has no other."""
        if wanted is not None and wanted in self.thresholds:
            return wanted
        return self.manifest.calibration.target_precision

    @property
    def manifest(self) -> Manifest:
        """Return the table of contents of its bundle."""
        return self.bundle.manifest

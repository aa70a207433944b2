"""The weighted sum that a run minimises, with every term by name for the log."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from training.config_objective import ObjectiveSection
from training.config_smaller import MatryoshkaSection
from training.losses.pairs import Judgement, PairObjective
from training.losses.prefix import unit_prefix
from training.losses.query_batch import QueryBatchObjective
from training.losses.query_label import QueryLabelObjective
from training.objective.bases import base_terms
from training.objective.embedded_batch import EmbeddedBatch
from training.objective.margins import ThresholdConsistentMargin
from training.objective.product_side import ProductSide, Prototypes, SharedVectors


@dataclass(frozen=True)
class Terms:
    """What a step minimises, and what its log should say beside.

    Attributes:
        losses: weighted terms by name; their sum is minimised.
        notes: further figures by name, such as the accuracy of a head.
    """

    losses: dict[str, Float[Tensor, ""]]
    notes: dict[str, float] = field(default_factory=dict[str, float])

    def total(self) -> Float[Tensor, ""]:
        """Return the sum of all terms."""
        return torch.stack(list(self.losses.values())).sum()


class Objective(nn.Module):
    """A base with its products' vectors, the threshold-consistent margin, and ALC's two heads.

    Only the products' vectors outlive the training; heads and margins are not exported. Each
    prefix of the embeddings that shall suffice alone has all of it but the products' vectors anew:
    it has the prefixes of theirs.

    Source:
        L = L_base + b1 L_ql + b2 L_qb, arXiv:2510.04551; TCM arXiv:2307.04047; prefixes
        arXiv:2205.13147. That the heads first learn from embeddings that they do not move is ours.
    """

    def __init__(
        self,
        settings: ObjectiveSection,
        dim: int,
        queries_of: Int64[np.ndarray, " product"] | None,
        matryoshka: MatryoshkaSection | None = None,
    ) -> None:
        super().__init__()
        self._settings = settings
        self.side: ProductSide | None = None
        if settings.base in ("dexa", "prime") and queries_of is not None:
            kind = SharedVectors if settings.base == "dexa" else Prototypes
            self.side = kind(dim, queries_of, settings.products)
        self.margin = ThresholdConsistentMargin(settings.tcm)
        self.heads = nn.ModuleDict(_heads(settings, dim))
        self._prefixes = matryoshka.weighted() if matryoshka else []
        self.prefixes = nn.ModuleDict(
            {str(short): Objective(settings, short, None) for short, _ in self._prefixes}
        )

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the weights of all heads, those of the prefixes last."""
        yield from self.heads.parameters()
        for _, below, _ in self._below():
            yield from below.heads.parameters()

    def left_out(self) -> dict[str, str]:
        """Return why TCM is left out, by what it is left out of; empty where it is not."""
        reasons = {"this run": self.margin.left_out}
        reasons |= {f"prefix {short}": below.margin.left_out for short, below, _ in self._below()}
        return {what: reason for what, reason in reasons.items() if reason is not None}

    def products(self, batch: EmbeddedBatch) -> Float[Tensor, "product dim"]:
        """Return the vectors that would be served for the batch's products."""
        return batch.texts if self.side is None else self.side(batch.texts, batch.product_rows)

    def forward(self, batch: EmbeddedBatch, *, run_ratio: float) -> Terms:
        """Return every term that acts at this point of the run.

        Args:
            batch: the embeddings of a step.
            run_ratio: share of the run's steps already taken, in [0, 1].

        Raises:
            MarginError: if the margins of TCM leave no gap.
        """
        products = self.products(batch)
        terms = self._terms(batch, products, run_ratio)
        for short, below, weight in self._below():
            # the texts' own where no product has a vector yet: the bases ask whether it is so
            cut = batch.prefix(short)
            its = cut.texts if products is batch.texts else unit_prefix(products, short)
            found = below._terms(cut, its, run_ratio)
            terms.losses[f"prefix_{short}"] = weight * found.total()
            terms.notes.update({f"prefix_{short}_{k}": v for k, v in found.notes.items()})
        return terms

    def _below(self) -> Iterator[tuple[int, "Objective", float]]:
        """Yield dim, objective and weight of each prefix."""
        for short, weight in self._prefixes:
            yield short, cast("Objective", self.prefixes[str(short)]), weight

    def _terms(
        self, batch: EmbeddedBatch, products: Float[Tensor, "product dim"], run_ratio: float
    ) -> Terms:
        similarity = batch.similarity_to(products)
        drop = self._settings.false_negatives
        if drop.drop:
            batch = batch.without_likely_positives(similarity, drop.margin)
            similarity = batch.similarity_to(products)
        terms = Terms(base_terms(batch, products, self._settings))
        self._add_margin(terms, batch, similarity, run_ratio)
        for name, judged, weight in self._judged(batch, products, run_ratio):
            terms.losses[name] = weight * judged.loss
            terms.notes[f"{name}_accuracy"] = judged.accuracy
            terms.notes[f"{name}_chance"] = judged.chance
        return terms

    def _add_margin(
        self,
        terms: Terms,
        batch: EmbeddedBatch,
        similarity: Float[Tensor, "query product"],
        run_ratio: float,
    ) -> None:
        self.margin.watch(similarity, batch.is_positive, batch.is_negative, run_ratio=run_ratio)
        loss = self.margin(similarity, batch.is_positive, run_ratio=run_ratio)
        if loss is not None:
            terms.losses["tcm"] = loss
            positive, negative = self.margin.margins()
            terms.notes["positive_margin"] = positive
            terms.notes["negative_margin"] = negative

    def _judged(
        self,
        batch: EmbeddedBatch,
        products: Float[Tensor, "product dim"],
        run_ratio: float,
    ) -> Iterator[tuple[str, Judgement, float]]:
        """Yield name, judgement and weight of each head that is asked for."""
        is_warming_up = run_ratio < self._settings.heads.warmup_ratio
        queries = batch.queries.detach() if is_warming_up else batch.queries
        candidates = products.detach() if is_warming_up else products
        weights = {
            "query_label": self._settings.query_label.weight,
            "query_batch": self._settings.query_batch.weight,
        }
        for name, module in self.heads.items():
            head = cast("PairObjective", module)
            judged = head.judge(
                queries,
                candidates,
                batch.is_positive,
                sampled=batch.sampled,
                is_negative=batch.is_negative,
            )
            yield name, judged, weights[name]


def _heads(settings: ObjectiveSection, dim: int) -> dict[str, nn.Module]:
    heads: dict[str, nn.Module] = {}
    shape = settings.heads
    if settings.query_label.weight > 0:
        heads["query_label"] = QueryLabelObjective(
            dim,
            hardest=settings.query_label.hardest,
            hidden=shape.hidden,
            scaling=shape.scaling,
        )
    if settings.query_batch.weight > 0:
        heads["query_batch"] = QueryBatchObjective(
            dim,
            form=settings.query_batch.form,
            hardest=settings.query_batch.hardest,
            hidden=shape.hidden,
            scaling=shape.scaling,
        )
    return heads

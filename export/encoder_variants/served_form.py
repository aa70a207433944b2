"""The form of a checkpoint's encoder that a bundle serves, and what its manifest says of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from export.encoder_variants.choice import Chosen, choose
from export.encoder_variants.exported import Exported, Precision
from export.encoder_variants.fusion import Shape
from export.encoder_variants.parity_gate import Gate, GateTexts
from export.encoder_variants.trial import Judges
from export.golden_examples import TOLERANCE
from export.operating_point import LabelledSets
from service.contract.cpu import CpuKind, cpu_kind
from service.contract.manifest import EncoderRecord, GoldenTolerance
from service.encoder import Encoder
from training.checkpoint import Checkpoint
from training.data.products import Products

OTHER_KERNELS = GoldenTolerance(embedding=1e-2, similarity=3e-3)
"""Room for int8 on another kind of CPU, and for fp16 on an accelerator: the same weights, but a
number on the edge between two steps may fall to the other side."""


@dataclass(frozen=True)
class Wanted:
    """Which form of the encoder a bundle shall serve, and what decides about it.

    Attributes:
        cpu: the kind of CPU that the bundle is built on; None asks this machine.
    """

    precision: Precision = Precision.FP32
    judges: Judges = field(default_factory=Judges)
    cpu: CpuKind | None = None


@dataclass(frozen=True)
class ServedForm:
    """The form that is served, opened, and what the manifest says of it."""

    chosen: Chosen
    parity_error: float
    cpu: CpuKind

    @property
    def encoder(self) -> Encoder:
        """Return the served form."""
        return self.chosen.encoder

    @property
    def tolerance(self) -> GoldenTolerance:
        """Return how far golden examples may be off on a machine of another kind."""
        return TOLERANCE if self.chosen.precision is Precision.FP32 else OTHER_KERNELS

    @property
    def tolerance_by_cpu(self) -> dict[CpuKind, GoldenTolerance]:
        """Return the tolerances of the kinds of CPU that need less room."""
        return {self.cpu: TOLERANCE} if self.chosen.precision is Precision.INT8 else {}

    def record(self, base: str) -> EncoderRecord:
        """Return what the manifest says of the encoder that training made from ``base``."""
        chosen = self.chosen
        return EncoderRecord(
            base=base,
            dim=chosen.encoder.dim,
            max_tokens=chosen.encoder.tokeniser.max_tokens,
            precision=chosen.precision.value,
            parity_max_error=self.parity_error,
            method=chosen.method,
            cpu=self.cpu if chosen.variants else None,
            variants=chosen.variants,
        )


@dataclass(frozen=True)
class JudgedOn:
    """What another form of the encoder is made and judged by."""

    products: Products
    texts: Sequence[str]
    sets: LabelledSets
    target_precision: float


def serve_form(
    path: Path, plain: tuple[Encoder, float], checkpoint: Checkpoint, on: JudgedOn, wanted: Wanted
) -> ServedForm:
    """Return the form of an fp32 export that is wanted; its file takes the export's place.

    Args:
        path: the export's ONNX file.
        plain: it, opened, and its distance from PyTorch.
        checkpoint: what was exported.
        on: texts and labels.
        wanted: which form.

    Raises:
        BundleError: if the form cannot be made, or may not stand in for fp32.
        DataError: if int8 is wanted and there is no text to fix its ranges on.
    """
    encoder, parity_error = plain
    cpu = wanted.cpu or cpu_kind()
    if wanted.precision is Precision.FP32:
        return ServedForm(Chosen(encoder, Precision.FP32), parity_error, cpu)
    config = checkpoint.encoder.model.transformer.config
    heads = int(getattr(config, "num_attention_heads", 0))  # pyright: ignore[reportArgumentType]  # every config has it
    texts = gate_texts(encoder, on, wanted.judges.gate)
    exported = Exported(path, encoder, Shape(heads, encoder.dim), texts, on.target_precision)
    return ServedForm(choose(exported, wanted.precision, wanted.judges), parity_error, cpu)


def gate_texts(encoder: Encoder, on: JudgedOn, limits: Gate) -> GateTexts:
    """Return validation queries, and the products that they are looked for among.

    Of a large catalogue those are the products that are right for a query, and others spread over
    all of it.
    """
    queries = on.sets.validation[: limits.most_queries]
    asked = encoder.tokenise([query.text for query in queries])
    kept = [row for row, text in enumerate(asked) if not text.is_blank]
    row_of = {product_id: row for row, product_id in enumerate(on.products.product_ids())}
    right = [[row_of[p] for p in queries[q].positives if p in row_of] for q in kept]
    step = -(-len(on.texts) // limits.most_products)
    spread = range(0, len(on.texts), step)
    rows = sorted({row for rows in right for row in rows}.union(spread))
    place = {row: number for number, row in enumerate(rows)}
    return GateTexts(
        queries=[asked[q] for q in kept],
        products=encoder.tokenise([on.texts[row] for row in rows]),
        positives=[frozenset(place[row] for row in rows) for rows in right],
    )

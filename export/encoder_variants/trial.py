"""One form of the encoder on trial: opened, run, measured against fp32, recorded."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from export.encoder_variants.exported import Exported, Precision
from export.encoder_variants.forms import Form
from export.encoder_variants.parity_gate import (
    Embedded,
    Gate,
    difference,
    gate_threshold,
    verdict,
)
from export.encoder_variants.speed import Stopwatch, speed_ratio
from service.contract.errors import BundleError
from service.contract.variants import VariantRecord
from service.encoder import Encoder
from training.console import first_line


@dataclass(frozen=True)
class Judges:
    """What decides between forms of the encoder; tests bring their own."""

    gate: Gate = field(default_factory=Gate)
    stopwatch: Stopwatch = speed_ratio


class Trial:
    """Measures forms against one fp32 export, which is run once for all of them."""

    def __init__(self, exported: Exported, judges: Judges) -> None:
        self._exported = exported
        self._judges = judges

    def judge(self, form: Form) -> VariantRecord:
        """Return what was measured of a form, and whether it may stand in for fp32."""
        try:
            encoder = Encoder(form.path, self._exported.encoder.tokeniser)
        except BundleError as error:
            return _record(form, passed=False, reason=f"not run: {first_line(error)}")
        found = Embedded.by(encoder, self._exported.texts)
        if found.failed:
            reason = f"it gives no unit vector for {found.failed} texts"
            return _record(form, passed=False, reason=reason)
        measured = difference(self._expected, found, threshold=self._threshold)
        reason = verdict(measured, self._judges.gate)
        figures = asdict(measured)
        if form.precision is Precision.FP16:
            note = "checked on the CPU by its numbers; made for CUDA, its speed was not measured"
        else:
            plain, texts = self._exported.encoder, self._exported.texts
            figures["speed_ratio"] = self._judges.stopwatch(plain, encoder, texts.queries)
            note = "its decisions are fp32's, within what the gate allows"
        return _record(form, passed=not reason, reason=reason or note, figures=figures)

    @cached_property
    def _expected(self) -> Embedded:
        return Embedded.by(self._exported.encoder, self._exported.texts)

    @cached_property
    def _threshold(self) -> float | None:
        return gate_threshold(
            self._expected,
            self._exported.texts.positives,
            target_precision=self._exported.target_precision,
        )


def _record(
    form: Form, *, passed: bool, reason: str, figures: Mapping[str, Any] | None = None
) -> VariantRecord:
    return VariantRecord(
        precision=form.precision.value,
        method=form.method,
        size_bytes=form.path.stat().st_size,
        passed=passed,
        reason=reason,
        **(figures or {}),
    )

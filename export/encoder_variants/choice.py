"""The form of the encoder that a bundle serves: what was asked for, if it may stand in for fp32."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export.encoder_variants.exported import Exported, Precision
from export.encoder_variants.forms import Form, forms
from export.encoder_variants.trial import Judges, Trial
from service.contract.errors import BundleError, SurematchError
from service.contract.variants import VariantRecord
from service.encoder import Encoder
from training.console import say

WORTH_IT = 1.2
"""``auto`` leaves fp32 only for a form that is at least so many times as fast."""


@dataclass(frozen=True)
class Chosen:
    """The served form, opened, and the record of every form that was tried."""

    encoder: Encoder
    precision: Precision
    method: str = ""
    variants: tuple[VariantRecord, ...] = ()


def choose(exported: Exported, wanted: Precision, judges: Judges | None = None) -> Chosen:
    """Put the form that is asked for in the place of the fp32 export, and return it opened.

    ``auto`` takes the fastest int8 form that passes the gate, if it is worth it, and fp32
    otherwise; ``int8`` the fastest that passes; ``fp16`` is made for CUDA, and judged here, on the
    CPU, by its numbers alone.

    Raises:
        BundleError: if ``int8`` or ``fp16`` was asked for, and cannot be made or does not pass.
        DataError: if ``int8`` was asked for and there is no text to fix its ranges on.
    """
    plain = Chosen(exported.encoder, Precision.FP32)
    if wanted is Precision.FP32 or _nothing_to_judge_by(exported, wanted):
        return plain
    with tempfile.TemporaryDirectory() as folder:
        tried = _try_forms(exported, wanted, Path(folder), judges or Judges())
        records = tuple(record for _, record in tried)
        best = _best([one for one in tried if one[1].passed], wanted)
        if best is None and wanted is not Precision.AUTO:
            raise BundleError(_refusal(wanted, records))
        if best is None:
            say("the encoder stays fp32")
            return Chosen(exported.encoder, Precision.FP32, variants=records)
        shutil.copyfile(best.path, exported.path)
    say(f"the bundle serves {best.precision}: {best.method}")
    encoder = Encoder(exported.path, exported.encoder.tokeniser)
    return Chosen(encoder, best.precision, best.method, records)


def _nothing_to_judge_by(exported: Exported, wanted: Precision) -> bool:
    """Return whether `auto` must stay with fp32; a form that was asked for by name is refused."""
    if exported.texts.queries:
        return False
    if wanted is not Precision.AUTO:
        message = (
            f"there is no validation query to judge {wanted} by; give validation queries, or build "
            f"with --precision {Precision.FP32}"
        )
        raise BundleError(message)
    say("the encoder stays fp32: there is no validation query to judge another form by")
    return True


def _try_forms(
    exported: Exported, wanted: Precision, folder: Path, judges: Judges
) -> list[tuple[Form, VariantRecord]]:
    trial = Trial(exported, judges)
    tried: list[tuple[Form, VariantRecord]] = []
    try:
        for form in forms(exported, wanted, folder):
            tried.append((form, trial.judge(form)))
            say(line_of(tried[-1][1]))
    except SurematchError as error:
        if wanted is not Precision.AUTO:
            raise
        say(f"no other form of the encoder can be made: {error}")
    return tried


def _best(passed: Sequence[tuple[Form, VariantRecord]], wanted: Precision) -> Form | None:
    least = WORTH_IT if wanted is Precision.AUTO else 0.0
    fast = [(record.speed_ratio or 0.0, form) for form, record in passed]
    worth_it = [one for one in fast if one[0] >= least]
    return max(worth_it, key=lambda one: one[0])[1] if worth_it else None


def line_of(record: VariantRecord) -> str:
    """Return the figures of a form on one line."""
    parts = [f"{record.precision} ({record.method}), {record.size_bytes / 1e6:.0f} MB"]
    if record.changed_decisions is not None:
        parts.append(f"{record.changed_decisions} of {record.queries} decisions changed")
        parts.append(f"similarity off by {record.median_similarity_error:.4f} (median)")
        parts.append(f"recall at 10 against fp32 {record.recall_at_10:.3f}")
    if record.speed_ratio is not None:
        parts.append(f"{record.speed_ratio:.2f} times as fast")
    return "; ".join([*parts, "passed" if record.passed else f"failed: {record.reason}"])


def _refusal(wanted: Precision, records: Sequence[VariantRecord]) -> str:
    found = " | ".join(map(line_of, records))
    return (
        f"no {wanted} form of the encoder may stand in for fp32: {found}; build with --precision "
        f"{Precision.AUTO} or {Precision.FP32}, or give more validation queries"
    )

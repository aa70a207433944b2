"""Other forms of an exported encoder, each written to a file of its own."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from export.encoder_variants.exported import Exported, Precision
from export.encoder_variants.fusion import fuse
from export.encoder_variants.half import half_precision
from export.encoder_variants.quantisation import Scheme, quantise
from export.encoder_variants.ranges import observe
from service.contract.errors import BundleError
from service.contract.tokens import TokenisedText

INT8_SCHEMES = (Scheme("static", float_share=1 / 48, smoothing=0.7), Scheme("dynamic"))
"""What ``int8`` may mean, in the order in which it is tried; `docs/encoder.md` has the figures."""
RANGE_TEXTS = 256
"""Most texts that fix the ranges of int8: products and validation queries in equal parts."""
_COMPARED_TEXTS = 24


@dataclass(frozen=True)
class Form:
    """One form of the encoder: its number format, how it was made, its file."""

    precision: Precision
    method: str
    path: Path


def forms(
    exported: Exported, wanted: Precision, folder: Path, *, schemes: Sequence[Scheme] = INT8_SCHEMES
) -> Generator[Form]:
    """Yield the forms to be tried for what is wanted, written into ``folder``.

    Raises:
        DataError: if int8 is wanted and every text is blank.
        BundleError: if the graph has nothing that can be quantised.
    """
    plain = onnx.load(str(exported.path))
    texts, tokeniser = _some_texts(exported), exported.encoder.tokeniser
    compared = [text for text in texts if not text.is_blank][:_COMPARED_TEXTS]
    is_half = wanted is Precision.FP16
    fused = fuse(plain, exported.shape, compared, tokeniser, skip_layer_norm=is_half)
    if is_half:
        yield _written(folder, Precision.FP16, fused.told, half_precision(fused.model))
        return
    ranges = observe(fused.model, texts, tokeniser)
    if not ranges:
        message = f"{exported.path} holds no product with constant weights; build with fp32"
        raise BundleError(message)
    for number, scheme in enumerate(schemes):
        model = quantise(fused.model, scheme, ranges)
        method = f"{scheme.name}; {fused.told}"
        yield _written(folder / f"{number}", Precision.INT8, method, model)


def _written(folder: Path, precision: Precision, method: str, model: onnx.ModelProto) -> Form:
    folder.mkdir(exist_ok=True)
    path = folder / f"encoder.{precision}.onnx"
    onnx.save(model, str(path))
    return Form(precision, method, path)


def _some_texts(exported: Exported) -> list[TokenisedText]:
    """Return products and queries, spread over all of them."""
    return [
        text
        for texts in (exported.texts.products, exported.texts.queries)
        for text in texts[:: -(-len(texts) // (RANGE_TEXTS // 2)) or 1]
    ]

"""The fp32 export, with all that other forms of it are made and judged by."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from export.encoder_variants.fusion import Shape
from export.encoder_variants.parity_gate import GateTexts
from service.encoder import Encoder


class Precision(StrEnum):
    """What `export build --precision` may ask for."""

    AUTO = "auto"
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


@dataclass(frozen=True)
class Exported:
    """The fp32 export, and what a form of it is made and judged by.

    Attributes:
        path: its ONNX file; the served form takes its place.
        encoder: it, opened.
        shape: of its transformer.
        texts: what forms are judged on.
        target_precision: of the bundle's default promise.
    """

    path: Path
    encoder: Encoder
    shape: Shape
    texts: GateTexts
    target_precision: float

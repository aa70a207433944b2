"""Embeddings of one run of the encoder: a copy to look at, and where the device left them."""

from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32


@dataclass(frozen=True, slots=True, eq=False)
class OnDevice:
    """Embeddings that lie in the memory of the device that made them, row after row.

    Attributes:
        value: keeps that memory; it is given back with the last reference to this.
        texts: number of rows.
        dim: length of a row, in float32.
    """

    value: ort.OrtValue
    texts: int
    dim: int

    @property
    def pointer(self) -> int:
        """Return the address of the first number, in the memory of the device."""
        return self.value.data_ptr()


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """What one run makes of its texts.

    Attributes:
        vectors: one unit vector a text; NaN where the encoder failed on it.
        on_device: the same numbers on the device; None where they are not all there, as on a CPU
            or after a failure.
    """

    vectors: Float32[np.ndarray, "text dim"]
    on_device: OnDevice | None = None

"""The exported encoder against PyTorch's, text by text."""

from collections.abc import Sequence

import numpy as np
import torch

from service.contract.errors import BundleError
from service.encoder import Encoder
from training.embedding import encode
from training.encoder import LoadedEncoder

TOLERANCE = 1e-4
"""Largest difference of any entry of an embedding that an fp32 export may show."""


def check_parity(trained: LoadedEncoder, exported: Encoder, texts: Sequence[str]) -> float:
    """Return the largest difference of any embedding entry between torch and ONNX Runtime.

    Raises:
        BundleError: if it is above `TOLERANCE` or not a number.
    """
    tokeniser = trained.tokeniser
    trained.model.eval()
    with torch.no_grad():
        expected = encode(trained.model, tokeniser(texts), tokeniser).cpu().numpy()
    error = float(np.abs(exported.embed(texts) - expected).max())
    if not error <= TOLERANCE:
        message = (
            f"the exported encoder differs from PyTorch's by {error:.1e}, at most {TOLERANCE} is "
            "allowed; report this model's architecture, its export is not supported"
        )
        raise BundleError(message)
    return error

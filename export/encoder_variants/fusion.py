"""Attention, embeddings and GELU of the exported graph as single operators, where that works."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_by_fusion

from export.encoder_variants.sessions import embed_alone, embed_together
from service.contract.tokens import TextTokeniser, TokenisedText
from training.console import first_line

TOLERANCE = 1e-5
"""Largest difference of any entry of an embedding that fusing may make."""
CONTRIB = "com.microsoft"
"""Where ONNX Runtime's own operators belong."""
ATTENTION = ("Attention", "MultiHeadAttention")
_COUNTED = (*ATTENTION, "EmbedLayerNormalization", "SkipLayerNormalization", "BiasGelu")


@dataclass(frozen=True)
class Shape:
    """What the optimiser must know of a transformer."""

    heads: int
    dim: int


@dataclass(frozen=True)
class Fused:
    """A graph, and what was done to it.

    Attributes:
        model: the fused graph, or the plain one.
        operators: how often each fused operator stands in it; empty for the plain one.
        reason: why the plain one is used; empty for the fused one.
    """

    model: onnx.ModelProto
    operators: dict[str, int]
    reason: str = ""

    @property
    def told(self) -> str:
        """Return in a few words what was fused, or why nothing was."""
        if self.reason:
            return f"plain graph ({self.reason})"
        return "fused: " + ", ".join(f"{n} {name}" for name, n in self.operators.items())


def fuse(
    plain: onnx.ModelProto,
    shape: Shape,
    texts: Sequence[TokenisedText],
    tokeniser: TextTokeniser,
    *,
    skip_layer_norm: bool = True,
) -> Fused:
    """Return the graph with fused operators; the plain one where fusing fails or changes anything.

    Args:
        plain: an exported encoder; left as it is.
        shape: of its transformer.
        texts: of several lengths, on which both graphs must agree, alone and beside others.
        tokeniser: pads them.
        skip_layer_norm: fuse residual sums and layer norms too; ONNX Runtime's operator of both
            is slower on a CPU than the two apart.
    """
    try:
        model = _optimise(plain, shape, skip_layer_norm=skip_layer_norm)
        expected = embed_alone(plain, texts, tokeniser)
        found = [run(model, texts, tokeniser) for run in (embed_alone, embed_together)]
    except Exception as error:  # the optimiser meets graphs it was never written for
        return Fused(plain, {}, f"it cannot be fused: {first_line(error)}")
    worst = max(float(np.abs(one - expected).max()) for one in found)
    if not worst <= TOLERANCE:
        return Fused(plain, {}, f"fusing changes an embedding by {worst:.1e}")
    counts = Counter(node.op_type for node in model.graph.node)
    operators = {name: counts[name] for name in _COUNTED if counts[name]}
    if not any(operators.get(name) for name in ATTENTION):
        return Fused(plain, {}, "no attention was recognised in it")
    return Fused(model, operators)


def _optimise(plain: onnx.ModelProto, shape: Shape, *, skip_layer_norm: bool) -> onnx.ModelProto:
    options = FusionOptions("bert")
    options.enable_skip_layer_norm = skip_layer_norm
    copied = onnx.ModelProto()
    copied.CopyFrom(plain)
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # it warns of every pattern it does not find
    try:
        model = optimize_by_fusion(copied, "bert", shape.heads, shape.dim, options).model
    finally:
        logging.disable(disabled)
    if all(one.domain != CONTRIB for one in model.opset_import):
        model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
    return model

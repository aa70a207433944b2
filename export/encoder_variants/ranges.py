"""What goes into the matrix products of an encoder: the range of each channel, seen on texts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from jaxtyping import Float32
from onnx import TensorProto, helper

from export.encoder_variants.sessions import feed, open_graph, run
from service.contract.errors import DataError
from service.contract.tokens import TextTokeniser, TokenisedText

PRODUCTS = ("MatMul", "Attention")
"""Operators that multiply activations with weights."""


@dataclass(frozen=True)
class ChannelRange:
    """The least and the greatest value of each channel of an activation."""

    low: Float32[np.ndarray, " channel"]
    high: Float32[np.ndarray, " channel"]

    @property
    def largest(self) -> Float32[np.ndarray, " channel"]:
        """Return the largest absolute value of each channel."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def weighted_products(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the nodes that multiply an activation with constant weights."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [
        node
        for node in model.graph.node
        if node.op_type in PRODUCTS and node.input[1] in constants and not _has_extras(node)
    ]


def _has_extras(node: onnx.NodeProto) -> bool:
    """Return whether an attention does more than its int8 operator can."""
    past = any(node.input[4:])
    return node.op_type == "Attention" and (past or "qkv_hidden_sizes" in _names(node))


def _names(node: onnx.NodeProto) -> set[str]:
    return {attribute.name for attribute in node.attribute}


def observe(
    model: onnx.ModelProto, texts: Sequence[TokenisedText], tokeniser: TextTokeniser
) -> Mapping[str, ChannelRange]:
    """Return the range of every activation that meets weights, by its name.

    Each text is run alone: padding is no text, and must not widen a range.

    Raises:
        DataError: if no text is left that is not blank.
    """
    readable = [text for text in texts if not text.is_blank]
    if not readable:
        message = (
            f"int8 fixes its ranges on texts, and all {len(texts)} are blank; give products and "
            "validation queries that have a text, or build with --precision fp32"
        )
        raise DataError(message)
    names = sorted({node.input[0] for node in weighted_products(model)})
    session = open_graph(_with_outputs(model, names))
    runs = (run(session, names, feed([text], tokeniser)) for text in readable)
    return dict(zip(names, map(_range, *_edges(runs)), strict=True))


def _edges(runs: Iterable[Sequence[np.ndarray]]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    lows: list[np.ndarray] = []
    highs: list[np.ndarray] = []
    for found in runs:
        flat = [values.reshape(-1, values.shape[-1]) for values in found]
        low, high = [v.min(axis=0) for v in flat], [v.max(axis=0) for v in flat]
        lows = list(map(np.minimum, lows, low)) if lows else low
        highs = list(map(np.maximum, highs, high)) if highs else high
    return lows, highs


def _range(low: np.ndarray, high: np.ndarray) -> ChannelRange:
    return ChannelRange(low.astype(np.float32), high.astype(np.float32))


def _with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    return shown

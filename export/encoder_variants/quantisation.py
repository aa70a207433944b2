"""The encoder's matrix products in int8: U8 activations times S7 weights, the rest in float.

Weights take 7 of their 8 bits: on CPUs without VNNI the instruction that multiplies U8 with S8 adds
pairs in 16 bits, which two products of full width overflow and two of 7 bits never do. So every CPU
computes the same integers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from jaxtyping import Float32, Int64
from onnx import helper, numpy_helper

from export.encoder_variants.fusion import CONTRIB
from export.encoder_variants.ranges import ChannelRange, weighted_products

LEVELS = 63
"""Largest absolute value of a weight; 255 * 63 * 2 fits in 16 bits."""
_ACTIVATION_LEVELS = 255
_LEAST_RANGE = 1e-5


@dataclass(frozen=True)
class Scheme:
    """How an encoder is quantised.

    Attributes:
        activations: ``static``, their ranges fixed beforehand, so that a text's numbers depend on
            the text alone; or ``dynamic``, ranges taken from each run, so that it must run alone.
        float_share: static: share of the channels, those of the largest values, that a matrix
            product takes in float, so that the others get finer steps.
        smoothing: static: how much of an attention's uneven channels its weights take over, in
            [0, 1]; 0 is nothing.
    """

    activations: Literal["static", "dynamic"]
    float_share: float = 0.0
    smoothing: float = 0.0

    @property
    def name(self) -> str:
        """Return the method as the manifest names it."""
        if self.activations == "dynamic":
            return "dynamic U8 x S7"
        extra = f", {self.float_share:.1%} of the channels in float" if self.float_share else ""
        return f"static U8 x S7{extra}"


def quantise(
    model: onnx.ModelProto, scheme: Scheme, ranges: Mapping[str, ChannelRange]
) -> onnx.ModelProto:
    """Return the graph with every product of an activation and constant weights in int8.

    Args:
        model: a float graph, plain or fused; left as it is.
        scheme: how.
        ranges: of `observe`; what a static scheme fixes its steps by.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    weights = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    products = {node.output[0] for node in weighted_products(model)}
    rewriting = _Rewriting(scheme)
    for node in model.graph.node:
        if node.output[0] in products:
            rewriting.replace(node, weights[node.input[1]], ranges[node.input[0]])
        else:
            rewriting.nodes.append(node)
    del made.graph.node[:]
    made.graph.node.extend(rewriting.nodes)
    made.graph.initializer.extend(rewriting.constants)
    _drop_unused(made)
    if all(one.domain != CONTRIB for one in made.opset_import):
        made.opset_import.append(helper.make_opsetid(CONTRIB, 1))
    return made


class _Rewriting:
    """Nodes and constants of the graph that is being made."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def replace(self, node: onnx.NodeProto, weight: np.ndarray, seen: ChannelRange) -> None:
        """Add what computes ``node`` in int8."""
        own = _Product(self, node, weight.astype(np.float32), seen)
        if self.scheme.activations == "dynamic":
            own.dynamic()
        elif node.op_type == "Attention":
            own.static_attention()
        else:
            own.static_matmul()

    def node(
        self, kind: str, inputs: list[str], outputs: list[str], domain: str = "", **more: Any
    ) -> str:
        """Add a node; return the name of its first output."""
        self.nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **more))
        return outputs[0]

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant; return its name."""
        self.constants.append(numpy_helper.from_array(value, name))
        return name


class _Product:
    """One product of an activation with constant weights, on its way into int8."""

    def __init__(
        self, graph: _Rewriting, node: onnx.NodeProto, weight: np.ndarray, seen: ChannelRange
    ) -> None:
        self.graph, self.node, self.weight, self.seen = graph, node, weight, seen
        self.own = f"{node.output[0]}/int8"

    def dynamic(self) -> None:
        """Quantise with the range of each run."""
        weights = self._weights()
        activation = self.node.input[0]
        if self.node.op_type == "MatMul":
            names, outputs = [activation, *weights], list(self.node.output)
            self.graph.node("DynamicQuantizeMatMul", names, outputs, CONTRIB)
            return
        quantised = [f"{self.own}/x", f"{self.own}/x_scale", f"{self.own}/x_zero"]
        self.graph.node("DynamicQuantizeLinear", [activation], quantised)
        self._attention(quantised[0], quantised[1], quantised[2], weights)

    def static_attention(self) -> None:
        """Quantise with fixed ranges, the channels made more even beforehand."""
        activation = self.node.input[0]
        if self.graph.scheme.smoothing:
            activation = self._smooth(activation)
        self._attention(*self._quantised(activation), self._weights())

    def static_matmul(self) -> None:
        """Quantise with fixed ranges, but for the channels that stay in float."""
        activation, output = self.node.input[0], self.node.output[0]
        loud = self._loud_channels()
        if not len(loud):
            self._integer_product(activation, output)
            return
        floats = self.graph.constant(f"{self.own}/float", self.weight[loud])
        channels = self.graph.constant(f"{self.own}/channels", loud)
        self._silence(loud)
        rest = self._integer_product(activation, f"{self.own}/rest")
        taken = self.graph.node("Gather", [activation, channels], [f"{self.own}/taken"], axis=-1)
        product = self.graph.node("MatMul", [taken, floats], [f"{self.own}/product"])
        self.graph.node("Add", [rest, product], [output])

    def _integer_product(self, activation: str, output: str) -> str:
        quantised, scale, zero = self._quantised(activation)
        weight, weight_scale, weight_zero = self._weights()
        inputs = [quantised, weight, scale, weight_scale, zero, weight_zero]
        return self.graph.node("MatMulIntegerToFloat", inputs, [output], CONTRIB)

    def _loud_channels(self) -> Int64[np.ndarray, " channel"]:
        """Return the channels of the largest values, in order."""
        count = round(self.graph.scheme.float_share * len(self.weight))
        loudest = np.argsort(-self.seen.largest, kind="stable")[:count]
        return np.sort(loudest).astype(np.int64)

    def _silence(self, channels: Int64[np.ndarray, " channel"]) -> None:
        """Take channels out of the int8 product, and out of what its steps are fixed by."""
        self.weight = self.weight.copy()
        self.weight[channels] = 0
        self.seen = ChannelRange(
            np.delete(self.seen.low, channels), np.delete(self.seen.high, channels)
        )

    def _smooth(self, activation: str) -> str:
        """Divide each channel by what its weights are multiplied with."""
        share = self.graph.scheme.smoothing
        loud = np.maximum(self.seen.largest, _LEAST_RANGE)
        heavy = np.maximum(np.abs(self.weight).max(axis=1), _LEAST_RANGE)
        factor = (loud**share / heavy ** (1 - share)).astype(np.float32)
        factor /= np.exp(np.log(factor).mean())
        self.weight = self.weight * factor[:, None]
        self.seen = ChannelRange(self.seen.low / factor, self.seen.high / factor)
        divisor = self.graph.constant(f"{self.own}/evened", (1 / factor).astype(np.float32))
        return self.graph.node("Mul", [activation, divisor], [f"{self.own}/even"])

    def _quantised(self, activation: str) -> tuple[str, str, str]:
        """Quantise with a fixed range; return the names of values, scale and zero point."""
        low, high = min(float(self.seen.low.min()), 0.0), max(float(self.seen.high.max()), 0.0)
        step = max(high - low, _LEAST_RANGE) / _ACTIVATION_LEVELS
        zero_point = np.uint8(np.clip(np.rint(-low / step), 0, _ACTIVATION_LEVELS))
        scale = self.graph.constant(f"{self.own}/x_scale", np.array(step, dtype=np.float32))
        zero = self.graph.constant(f"{self.own}/x_zero", np.array(zero_point))
        inputs = [activation, scale, zero]
        return self.graph.node("QuantizeLinear", inputs, [f"{self.own}/x"]), scale, zero

    def _weights(self) -> tuple[str, str, str]:
        """Quantise the weights column by column; return values, scales and zero points."""
        integers, scale = quantised_weights(self.weight)
        return (
            self.graph.constant(f"{self.own}/w", integers),
            self.graph.constant(f"{self.own}/w_scale", scale),
            self.graph.constant(f"{self.own}/w_zero", np.zeros(len(scale), dtype=np.int8)),
        )

    def _attention(
        self, quantised: str, scale: str, zero: str, weights: tuple[str, str, str]
    ) -> None:
        weight, weight_scale, weight_zero = weights
        _, _, bias, *rest = self.node.input
        mask = rest[0] if rest else ""
        inputs = [quantised, weight, bias, scale, weight_scale, mask, zero, weight_zero]
        known = ("num_heads", "unidirectional", "mask_filter_value", "do_rotary", "past_present")
        more = {a.name: helper.get_attribute_value(a) for a in self.node.attribute}
        kept = {name: value for name, value in more.items() if name in known}
        self.graph.node("QAttention", inputs, list(self.node.output), CONTRIB, **kept)


def quantised_weights(
    weight: Float32[np.ndarray, "channel column"],
) -> tuple[np.ndarray, Float32[np.ndarray, " column"]]:
    """Return weights as int8 in [-63, 63], and the scale of each column."""
    largest = np.abs(weight).max(axis=0)
    scale = np.where(largest > 0, largest / LEVELS, 1).astype(np.float32)
    integers = np.clip(np.rint(weight / scale), -LEVELS, LEVELS).astype(np.int8)
    return integers, scale


def _drop_unused(model: onnx.ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [one for one in model.graph.initializer if one.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)

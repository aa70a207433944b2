from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from export.encoder_variants.fusion import fuse
from export.encoder_variants.quantisation import LEVELS, Scheme, quantise, quantised_weights
from export.encoder_variants.ranges import ChannelRange, observe, weighted_products
from export.encoder_variants.sessions import embed_alone, embed_together, open_graph
from service.contract.errors import DataError
from service.encoder import Encoder
from tests.export.encoder_variants.conftest import TinyExport

SCHEMES = (
    Scheme("static"),
    Scheme("static", float_share=0.1, smoothing=0.7),
    Scheme("dynamic"),
)


def int8_of(exported: TinyExport, scheme: Scheme) -> onnx.ModelProto:
    fused = fuse(exported.model, exported.shape, exported.texts, exported.tokeniser).model
    return quantise(fused, scheme, observe(fused, exported.texts, exported.tokeniser))


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_every_encoder_can_be_quantised_and_stays_near_fp32(
    exported: TinyExport, scheme: Scheme
) -> None:
    model = int8_of(exported, scheme)

    expected = embed_alone(exported.model, exported.texts, exported.tokeniser)
    found = embed_alone(model, exported.texts, exported.tokeniser)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)
    assert ((found * expected).sum(axis=1) > 0.99).all()
    assert not weighted_products(model) or scheme.float_share


def test_a_static_embedding_does_not_depend_on_the_padding_beside_it(exported: TinyExport) -> None:
    model = int8_of(exported, SCHEMES[1])

    alone = embed_alone(model, exported.texts, exported.tokeniser)
    together = embed_together(model, exported.texts, exported.tokeniser)

    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize(("scheme", "most"), [(SCHEMES[1], 1024), (SCHEMES[2], 1)])
def test_the_service_batches_a_static_encoder_and_runs_a_dynamic_one_text_by_text(
    bert: TinyExport, tmp_path: Path, scheme: Scheme, most: int
) -> None:
    path = tmp_path / "encoder.onnx"
    onnx.save(int8_of(bert, scheme), str(path))

    assert Encoder(path, bert.tokeniser, workers=1).max_texts == most


def test_channels_in_float_bring_a_loud_product_nearer_to_fp32() -> None:
    """Two channels of the activation are a hundred times as loud as the others."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(64, 32)).astype(np.float32)
    values[:, [3, 17]] *= 100
    weight = rng.normal(size=(32, 8)).astype(np.float32)
    errors = {share: _error(values, weight, share) for share in (0.0, 0.0625)}

    assert errors[0.0625] < errors[0.0] / 10


def _error(values: np.ndarray, weight: np.ndarray, share: float) -> float:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "one product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 8])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    seen = {"x": ChannelRange(values.min(axis=0), values.max(axis=0))}
    made = quantise(model, Scheme("static", float_share=share), seen)
    found = np.asarray(open_graph(made).run(["y"], {"x": values})[0])
    return float(np.abs(found - values @ weight).mean())


def test_texts_that_are_all_blank_fix_no_range(bert: TinyExport) -> None:
    blank = bert.tokeniser(["", "  "])

    with pytest.raises(DataError, match="all 2 are blank; give products and validation queries"):
        observe(bert.model, blank, bert.tokeniser)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_a_weight_is_off_by_half_a_step_at_most_and_two_never_overflow_16_bits(
    seed: int, channels: int, columns: int
) -> None:
    weight = np.random.default_rng(seed).normal(size=(channels, columns)).astype(np.float32)

    integers, scale = quantised_weights(weight)

    assert integers.dtype == np.int8
    assert (np.abs(integers * scale - weight) <= scale * 0.5001).all()
    assert np.abs(integers.astype(int)).max() * 255 * 2 <= np.iinfo(np.int16).max


def test_a_column_of_zeros_stays_zero() -> None:
    integers, scale = quantised_weights(np.zeros((3, 2), dtype=np.float32))

    assert not integers.any()
    assert (scale == 1).all()
    assert LEVELS == 63

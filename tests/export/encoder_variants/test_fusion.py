import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.encoder_variants import fusion
from export.encoder_variants.fusion import fuse
from export.encoder_variants.sessions import embed_alone, embed_together
from tests.export.encoder_variants.conftest import TinyExport


def test_attention_is_fused_where_the_optimiser_knows_it_and_the_plain_graph_told_elsewhere(
    exported: TinyExport,
) -> None:
    fused = fuse(exported.model, exported.shape, exported.texts, exported.tokeniser)

    if exported.kind == "mpnet":  # its positions are relative: the optimiser knows no such thing
        assert fused.model is exported.model
        assert fused.told == "plain graph (no attention was recognised in it)"
    else:
        assert fused.operators["Attention"] == 2
        assert fused.told.startswith("fused: 2 Attention")


@pytest.mark.parametrize("skip_layer_norm", [True, False])
def test_a_fused_graph_gives_the_embeddings_of_the_plain_one_alone_and_beside_others(
    exported: TinyExport, skip_layer_norm: bool
) -> None:
    fused = fuse(
        exported.model,
        exported.shape,
        exported.texts,
        exported.tokeniser,
        skip_layer_norm=skip_layer_norm,
    )
    expected = embed_alone(exported.model, exported.texts, exported.tokeniser)

    for embed in (embed_alone, embed_together):
        found = embed(fused.model, exported.texts, exported.tokeniser)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert [one.name for one in fused.model.graph.input] == ["input_ids", "attention_mask"]
    assert [one.name for one in fused.model.graph.output] == ["embedding"]


def test_the_given_graph_is_left_as_it_was(bert: TinyExport) -> None:
    before = bert.model.SerializeToString(deterministic=True)

    fuse(bert.model, bert.shape, bert.texts, bert.tokeniser)

    assert bert.model.SerializeToString(deterministic=True) == before


def test_a_graph_that_the_optimiser_cannot_read_stays_plain_and_says_why(
    bert: TinyExport,
) -> None:
    fused = fuse(onnx.ModelProto(), bert.shape, bert.texts, bert.tokeniser)

    assert fused.told.startswith("plain graph (it cannot be fused: ")


def test_fusing_that_changes_the_embeddings_is_not_used(
    bert: TinyExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(plain: onnx.ModelProto, *_: object, **__: object) -> onnx.ModelProto:
        other = onnx.ModelProto()
        other.CopyFrom(plain)
        table = max(other.graph.initializer, key=lambda one: one.ByteSize())
        table.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(table), table.name))
        return other

    monkeypatch.setattr(fusion, "_optimise", spoil)

    fused = fuse(bert.model, bert.shape, bert.texts, bert.tokeniser)

    assert fused.model is bert.model
    assert "fusing changes an embedding by" in fused.reason

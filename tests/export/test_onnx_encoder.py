from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.onnx_encoder import write_onnx
from export.parity import check_parity
from service.contract.errors import BundleError
from service.encoder import Encoder
from tests.tiny_encoder import KINDS, write_tiny_encoder
from training.encoder import LoadedEncoder, load_encoder

TEXTS = ["red shoe", "a much longer name of a green hat with a feather", "x", "blue shoe 42"]


@pytest.fixture(params=KINDS)
def loaded(request: pytest.FixtureRequest, tmp_path: Path) -> LoadedEncoder:
    folder = write_tiny_encoder(tmp_path / "encoder", TEXTS, kind=request.param)
    return load_encoder(str(folder), max_tokens=32)


def test_any_bert_like_encoder_is_exported_with_pooling_and_norm_inside(
    loaded: LoadedEncoder, tmp_path: Path
) -> None:
    path = tmp_path / "encoder.onnx"
    write_onnx(loaded.model, path)

    exported = Encoder(path, loaded.tokeniser)
    found = exported.embed(TEXTS * 40)
    assert found.shape == (160, 32)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert check_parity(loaded, exported, TEXTS * 40) < 1e-5


def test_cls_pooling_is_exported_as_it_was_trained(tmp_path: Path) -> None:
    folder = str(write_tiny_encoder(tmp_path / "encoder", TEXTS))
    first, mean = (load_encoder(folder, max_tokens=32, pooling=by) for by in ("cls", "mean"))
    write_onnx(first.model, tmp_path / "encoder.onnx")

    exported = Encoder(tmp_path / "encoder.onnx", first.tokeniser)
    assert check_parity(first, exported, TEXTS * 40) < 1e-5
    with pytest.raises(BundleError, match="differs from PyTorch's"):
        check_parity(mean, exported, TEXTS)


def test_names_and_types_of_the_graph_are_the_contracts(
    loaded: LoadedEncoder, tmp_path: Path
) -> None:
    path = tmp_path / "encoder.onnx"
    write_onnx(loaded.model, path)

    graph = onnx.load(str(path)).graph
    assert [node.name for node in graph.input] == ["input_ids", "attention_mask"]
    assert [node.name for node in graph.output] == ["embedding"]


def test_the_model_is_left_as_it_was(loaded: LoadedEncoder, tmp_path: Path) -> None:
    loaded.model.train()
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}

    write_onnx(loaded.model, tmp_path / "encoder.onnx")

    assert loaded.model.training
    assert all(torch.equal(before[name], t) for name, t in loaded.model.state_dict().items())


def test_an_export_of_other_weights_is_refused(loaded: LoadedEncoder, tmp_path: Path) -> None:
    path = tmp_path / "encoder.onnx"
    write_onnx(loaded.model, path)
    with torch.no_grad():
        next(loaded.model.parameters()).mul_(-3.0)

    with pytest.raises(BundleError, match="differs from PyTorch's"):
        check_parity(loaded, Encoder(path, loaded.tokeniser), TEXTS)
    with torch.no_grad():
        next(loaded.model.parameters()).fill_(float("nan"))
    with pytest.raises(BundleError, match="differs from PyTorch's by nan"):
        check_parity(loaded, Encoder(path, loaded.tokeniser), TEXTS)

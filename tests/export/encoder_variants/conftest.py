"""An exported tiny encoder, with texts that it knows."""

from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest

from export.encoder_variants.fusion import Shape
from export.onnx_encoder import write_onnx
from service.contract.tokens import TextTokeniser, TokenisedText
from tests.tiny_encoder import KINDS, write_tiny_encoder
from training.encoder import load_encoder

TEXTS = (
    "red shoe",
    "a much longer name of a green hat with a feather",
    "x",
    "blue shoe 42",
    "green shoe with a blue feather",
    "hat",
)


SHAPE = Shape(heads=2, dim=32)


@dataclass(frozen=True)
class TinyExport:
    """A tiny encoder as fp32 ONNX: its kind, file, graph, tokeniser and some texts."""

    kind: str
    path: Path
    model: onnx.ModelProto
    tokeniser: TextTokeniser
    texts: list[TokenisedText]
    shape: Shape


def export_tiny(folder: Path, kind: str) -> TinyExport:
    loaded = load_encoder(
        str(write_tiny_encoder(folder / kind, list(TEXTS), kind=kind)), max_tokens=32
    )
    path = folder / f"{kind}.onnx"
    write_onnx(loaded.model, path)
    tokeniser = loaded.tokeniser
    return TinyExport(kind, path, onnx.load(str(path)), tokeniser, tokeniser(TEXTS), SHAPE)


@pytest.fixture(scope="session")
def tiny_exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyExport]:
    folder = tmp_path_factory.mktemp("exports")
    return {kind: export_tiny(folder, kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def exported(request: pytest.FixtureRequest, tiny_exports: dict[str, TinyExport]) -> TinyExport:
    return tiny_exports[request.param]


@pytest.fixture
def bert(tiny_exports: dict[str, TinyExport]) -> TinyExport:
    return tiny_exports["bert"]

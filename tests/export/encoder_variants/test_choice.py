from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.encoder_variants import forms
from export.encoder_variants.choice import choose
from export.encoder_variants.exported import Exported, Precision
from export.encoder_variants.parity_gate import Gate, GateTexts
from export.encoder_variants.trial import Judges
from service.contract.errors import BundleError, DataError
from service.contract.tokens import TokenisedText
from service.encoder import Encoder
from tests.export.encoder_variants.conftest import TinyExport

LAX = Gate(changed_share=1.0, recall_at_10=0.0, least_queries=1)
STRICT = Gate(changed_share=0.0, recall_at_10=1.0, least_queries=7)


def timed(ratio: float):  # a stopwatch that needs no time
    def stopwatch(_plain: Encoder, other: Encoder, _texts: Sequence[TokenisedText]) -> float:
        return ratio if other.max_texts > 1 else ratio / 2  # the static form is the faster

    return stopwatch


@pytest.fixture
def opened(bert: TinyExport, tmp_path: Path) -> Exported:
    """The tiny export in a place of its own, judged on its own texts."""
    path = tmp_path / "encoder.onnx"
    path.write_bytes(bert.path.read_bytes())
    texts = GateTexts(bert.texts, bert.texts, [frozenset({row}) for row in range(len(bert.texts))])
    return Exported(path, Encoder(path, bert.tokeniser, workers=1), bert.shape, texts, 0.9)


def test_fp32_is_the_export_as_it_is_and_nothing_is_tried(opened: Exported) -> None:
    before = opened.path.read_bytes()

    chosen = choose(opened, Precision.FP32)

    assert (chosen.encoder, chosen.precision, chosen.variants) == (opened.encoder, "fp32", ())
    assert opened.path.read_bytes() == before


def test_auto_takes_the_fastest_form_that_passes_and_records_all(opened: Exported) -> None:
    expected = opened.encoder.encode(opened.texts.queries)

    chosen = choose(opened, Precision.AUTO, Judges(LAX, timed(3.0)))

    assert chosen.precision is Precision.INT8
    assert chosen.method.startswith("static U8 x S7, 2.1% of the channels in float; fused: ")
    assert [(one.precision, one.speed_ratio, one.passed) for one in chosen.variants] == [
        ("int8", 3.0, True),
        ("int8", 1.5, True),
    ]
    assert all(one.queries == 6 and one.size_bytes for one in chosen.variants)
    served = Encoder(opened.path, opened.encoder.tokeniser, workers=1)
    found = served.encode(opened.texts.queries)
    np.testing.assert_array_equal(found, chosen.encoder.encode(opened.texts.queries))
    assert (found != expected).any()
    assert ((found * expected).sum(axis=1) > 0.99).all()


@pytest.mark.parametrize(("gate", "ratio"), [(STRICT, 3.0), (LAX, 1.1)])
def test_auto_stays_with_fp32_where_nothing_passes_or_nothing_is_gained(
    opened: Exported, gate: Gate, ratio: float
) -> None:
    before = opened.path.read_bytes()

    chosen = choose(opened, Precision.AUTO, Judges(gate, timed(ratio)))

    assert chosen.encoder is opened.encoder
    assert chosen.precision is Precision.FP32
    assert len(chosen.variants) == 2
    assert opened.path.read_bytes() == before


def test_int8_that_fails_is_refused_on_one_line_with_its_figures(opened: Exported) -> None:
    with pytest.raises(BundleError) as refused:
        choose(opened, Precision.INT8, Judges(STRICT, timed(3.0)))

    said = str(refused.value)
    assert "no int8 form of the encoder may stand in for fp32" in said
    assert "decisions changed; similarity off by" in said
    assert "only 6 validation queries, 7 are needed" in said
    assert "build with --precision auto or fp32" in said
    assert "\n" not in said


def test_a_form_that_gives_no_numbers_fails_and_says_so(
    opened: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = forms.quantise

    def broken(*arguments: object) -> onnx.ModelProto:
        model = real(*arguments)  # pyright: ignore[reportArgumentType]  # handed on as they came
        for one in model.graph.initializer:
            if one.name.endswith("/w_scale"):
                nothing = np.full_like(numpy_helper.to_array(one), np.nan)
                one.CopyFrom(numpy_helper.from_array(nothing, one.name))
        return model

    monkeypatch.setattr(forms, "quantise", broken)

    with pytest.raises(BundleError, match="failed: it gives no unit vector for 12 texts"):
        choose(opened, Precision.INT8, Judges(LAX, timed(3.0)))
    assert choose(opened, Precision.AUTO, Judges(LAX, timed(3.0))).precision is Precision.FP32


def test_without_validation_queries_auto_stays_fp32_and_another_form_is_refused(
    opened: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = replace(opened, texts=GateTexts([], opened.texts.products, []))

    assert choose(nothing, Precision.AUTO, Judges(LAX)).precision is Precision.FP32
    said = capsys.readouterr()
    assert "stays fp32: there is no validation query" in said.out + said.err
    for wanted in (Precision.INT8, Precision.FP16):
        with pytest.raises(BundleError, match=f"no validation query to judge {wanted} by"):
            choose(nothing, wanted, Judges(LAX))


def test_blank_texts_alone_stop_int8_and_leave_auto_with_fp32(
    opened: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    blank = opened.encoder.tokenise(["", " "])
    nothing = replace(opened, texts=GateTexts(blank, blank, [frozenset(), frozenset()]))

    with pytest.raises(DataError, match="all 4 are blank"):
        choose(nothing, Precision.INT8, Judges(LAX, timed(3.0)))
    assert choose(nothing, Precision.AUTO, Judges(LAX, timed(3.0))).precision is Precision.FP32
    assert "no other form of the encoder can be made: int8 fixes" in capsys.readouterr().out


def test_fp16_is_judged_by_its_numbers_and_runs_on_a_cpu_too(opened: Exported) -> None:
    expected = opened.encoder.encode(opened.texts.queries)

    chosen = choose(opened, Precision.FP16, Judges(LAX, timed(3.0)))

    [record] = chosen.variants
    assert (chosen.precision, record.precision, record.speed_ratio) == ("fp16", "fp16", None)
    assert "made for CUDA, its speed was not measured" in record.reason
    found = chosen.encoder.encode(opened.texts.queries)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-2)

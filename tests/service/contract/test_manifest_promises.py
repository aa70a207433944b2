"""Several promises in one manifest: how they are asked for, and which of them belong together."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.contract.bundle import MANIFEST, open_bundle
from service.contract.errors import BundleCorruptError
from service.contract.manifest import (
    Calibration,
    CatalogueRecord,
    EncoderRecord,
    FileDigest,
    FurtherPoint,
    GoldenTolerance,
    Manifest,
    OperatingPoint,
    TrainingRecord,
)
from tests.tiny import write_bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that promises 95 % by default, 90 % on demand, and tried 98 % in vain."""
    out = tmp_path_factory.mktemp("promises") / "b"
    return write_bundle(out, threshold=0.8, further={0.98: None, 0.9: 0.6}).folder


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Manifest:
    return open_bundle(folder).manifest


def point(target: float, **changes: Any) -> OperatingPoint:
    fields: dict[str, Any] = {
        "threshold": 0.7,
        "target_precision": target,
        "confidence": 0.95,
        "queries": 100,
        "accepted": 80,
        "wrong": 0,
        "p_value": 0.01,
        "precision_lower_bound": 0.96,
    }
    return OperatingPoint(**{**fields, **changes})


def further(target: float, **changes: Any) -> FurtherPoint:
    promised = point(target, **changes)
    return FurtherPoint(target_precision=target, operating_point=promised, explanation="why")


def calibration(*points: FurtherPoint) -> Calibration:
    return Calibration(
        target_precision=0.95,
        confidence=0.95,
        queries=100,
        validation_queries=50,
        data_sha256="3" * 64,
        operating_point=None,
        explanation="no threshold can be promised",
        further=points,
    )


def test_the_default_promise_comes_first_and_the_others_rise(manifest: Manifest) -> None:
    assert manifest.target_precisions == (0.95, 0.9, 0.98)


@pytest.mark.parametrize(
    ("target", "threshold"), [(None, 0.8), (0.95, 0.8), (0.9, 0.6), (0.98, None)]
)
def test_each_promise_has_its_own_threshold(
    manifest: Manifest, target: float | None, threshold: float | None
) -> None:
    assert manifest.threshold_at(target) == threshold


def test_a_promise_comes_with_its_evidence_or_its_reason(manifest: Manifest) -> None:
    lax = manifest.promise_at(0.9)

    assert manifest.promise_at(None) == manifest.promise_at(0.95)
    assert manifest.point_at(None) is manifest.operating_point
    assert lax.operating_point is manifest.point_at(0.9)
    assert lax.operating_point is not None
    assert lax.operating_point.target_precision == 0.9
    assert manifest.point_at(0.98) is None
    assert manifest.promise_at(0.98).explanation == "invented for tests of 0.98"


def test_a_precision_the_bundle_was_not_built_for_is_said_with_those_it_was(
    manifest: Manifest,
) -> None:
    for ask in (manifest.threshold_at, manifest.point_at, manifest.promise_at):
        with pytest.raises(KeyError) as refused:
            ask(0.99)

        assert refused.value.args == (
            f"bundle {manifest.bundle_id} has no operating point for a precision of 0.99, only "
            "for 0.95, 0.9, 0.98; ask for one of these, or build the bundle with "
            "--further-targets 0.99",
        )


def test_a_bundle_of_one_promise_still_answers_for_its_target(tiny_bundle: Path) -> None:
    manifest = open_bundle(tiny_bundle).manifest

    assert manifest.target_precisions == (0.95,)
    assert manifest.threshold_at(0.95) == manifest.threshold_at(None) == manifest.threshold


def test_a_manifest_of_one_promise_has_the_bytes_that_older_releases_wrote() -> None:
    """The digest was computed by the release that knew one promise only."""
    older = Manifest(
        schema_version=1,
        normaliser_version=1,
        release="0.2.0",
        created_at="2026-11-20T12:00:00+00:00",
        encoder=EncoderRecord(
            base="all-MiniLM-L6-v2", dim=384, max_tokens=64, precision="fp32",
            parity_max_error=2.5e-7,
        ),
        catalogue=CatalogueRecord(
            products=558, product_text=("title",), attributes=("brand",), index="Flat"
        ),
        training=TrainingRecord(
            config_sha256="1" * 64, data_sha256="2" * 64, seed=0, epochs=8, commit=None
        ),
        calibration=Calibration(
            target_precision=0.95, confidence=0.95, queries=323, validation_queries=180,
            data_sha256="3" * 64, operating_point=None,
            explanation="no threshold can be promised",
        ),
        golden_tolerance=GoldenTolerance(embedding=1e-3, similarity=1e-4),
        files={"encoder.onnx": FileDigest(sha256="4" * 64, size_bytes=90)},
    ).sealed()  # fmt: skip

    assert older.digest == "9a57b1a32545eaa075ab8393dc07872d7d71932c73b77317ac0c57ae10fc059f"


targets = st.sets(st.sampled_from([0.5, 0.8, 0.9, 0.98, 0.99, 0.999]))


@given(targets, st.data())
def test_promises_are_read_back_as_they_were_written(
    chosen: set[float], data: st.DataObject
) -> None:
    points = [
        further(target)
        if data.draw(st.booleans(), label=f"{target} is promised")
        else FurtherPoint(target_precision=target, operating_point=None, explanation="too few")
        for target in sorted(chosen)
    ]

    written = calibration(*points)

    fields = json.loads(written.model_dump_json())
    assert ("further" in fields) is bool(points)
    assert "top_similarity" not in fields
    assert Calibration.model_validate(fields) == written
    assert [promise.target_precision for promise in written.promises] == [0.95, *sorted(chosen)]


@pytest.mark.parametrize(
    "points",
    [
        pytest.param((further(0.98), further(0.9)), id="falling"),
        pytest.param((further(0.9), further(0.9)), id="twice"),
        pytest.param((further(0.95),), id="the default again"),
    ],
)
def test_further_targets_that_do_not_rise_or_repeat_are_refused(
    points: tuple[FurtherPoint, ...],
) -> None:
    with pytest.raises(ValidationError, match="further targets that rise"):
        calibration(*points)


@pytest.mark.parametrize("change", [{"confidence": 0.9}, {"queries": 99}])
def test_a_point_of_another_calibration_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"\(0.9, 0.95, 100\) in the further operating point"):
        calibration(further(0.9, **change))


def test_a_point_of_another_target_is_refused() -> None:
    other = FurtherPoint(target_precision=0.9, operating_point=point(0.98), explanation="why")

    with pytest.raises(ValidationError, match=r"further operating point of 0\.9"):
        calibration(other)


@pytest.mark.parametrize("key", ["target_precision", "operating_point", "explanation"])
def test_a_further_promise_lacks_nothing_and_has_nothing_unknown(key: str) -> None:
    fields = json.loads(further(0.9).model_dump_json())
    surprised, torn = fields | {"surprise": 1}, {k: v for k, v in fields.items() if k != key}

    with pytest.raises(ValidationError, match="Field required"):
        FurtherPoint.model_validate(torn)
    with pytest.raises(ValidationError, match="surprise"):
        FurtherPoint.model_validate(surprised)


def test_an_edited_further_threshold_is_refused(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "b", further={0.9: 0.6}).folder / MANIFEST
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"threshold": 0.6', '"threshold": 0.5'), encoding="utf-8")

    with pytest.raises(BundleCorruptError, match="altered"):
        open_bundle(path.parent)


def test_an_empty_list_of_further_promises_is_other_bytes_and_refused(tmp_path: Path) -> None:
    """No release writes one, so a manifest that holds one was edited."""
    path = write_bundle(tmp_path / "b").folder / MANIFEST
    fields = json.loads(path.read_bytes())
    fields["calibration"]["further"] = []
    path.write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    with pytest.raises(BundleCorruptError, match="altered"):
        open_bundle(path.parent)

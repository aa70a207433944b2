import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.contract.bundle import MANIFEST, open_bundle
from service.contract.errors import BundleCorruptError, BundleError
from service.contract.manifest import Calibration, Manifest, OperatingPoint

Fields = dict[str, Any]
Edit = Callable[[Fields], object]

POINT: Fields = {
    "threshold": 0.8,
    "target_precision": 0.95,
    "confidence": 0.9,
    "queries": 100,
    "accepted": 80,
    "wrong": 2,
    "p_value": 0.01,
    "precision_lower_bound": 0.96,
}


@pytest.fixture(scope="module")
def manifest(tiny_bundle: Path) -> Manifest:
    return open_bundle(tiny_bundle).manifest


def fields_of(manifest: Manifest) -> Fields:
    return json.loads(manifest.to_bytes())


def objects_in(fields: Fields, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from objects_in(value, (*path, name))


def object_at(fields: Fields, path: tuple[str, ...]) -> Fields:
    for name in path:
        fields = fields[name]
    return fields


ratios = st.floats(0, 1)
shares = st.floats(0, 1, exclude_min=True, exclude_max=True)
words = st.text(st.characters(codec="utf-8"))
counts = st.tuples(*[st.integers(0, 10**9)] * 3).map(sorted).filter(lambda three: three[1] > 0)


@st.composite
def operating_points(draw: st.DrawFn) -> OperatingPoint:
    wrong, accepted, queries = draw(counts)
    return OperatingPoint(
        threshold=draw(st.floats(-1, 1)),
        target_precision=draw(shares),
        confidence=draw(shares),
        queries=queries,
        accepted=accepted,
        wrong=wrong,
        p_value=draw(ratios),
        precision_lower_bound=draw(ratios),
    )


@given(st.none() | operating_points(), words, st.integers())
def test_a_manifest_read_back_is_the_one_that_was_written(
    manifest: Manifest, point: OperatingPoint | None, explanation: str, seed: int
) -> None:
    calibration = manifest.calibration.model_copy(
        update={"operating_point": point, "explanation": explanation}
    )
    training = manifest.training.model_copy(update={"seed": seed})
    written = manifest.model_copy(update={"calibration": calibration, "training": training})

    read = Manifest.model_validate(json.loads(written.sealed().to_bytes()))

    assert read == written.sealed()
    assert read.to_bytes() == written.sealed().to_bytes()
    assert read.content_digest() == read.digest


def test_a_manifest_is_written_as_sorted_indented_utf_8(manifest: Manifest) -> None:
    named = manifest.model_copy(update={"release": "é"})

    text = named.to_bytes().decode("utf-8")

    assert text.startswith('{\n  "calibration": {\n    "confidence": 0.95,\n')
    assert '"release": "é",\n' in text
    assert text.endswith("\n}\n")


def test_sealing_again_changes_nothing(manifest: Manifest) -> None:
    assert manifest.sealed().sealed() == manifest.sealed() == manifest


def test_the_digest_follows_every_part_of_the_manifest(manifest: Manifest) -> None:
    others = [
        manifest.model_copy(update=change).content_digest()
        for change in (
            {"schema_version": 2},
            {"release": "other"},
            {"files": {}},
            {"encoder": manifest.encoder.model_copy(update={"dim": 17})},
            {"calibration": manifest.calibration.model_copy(update={"operating_point": None})},
        )
    ]

    assert len({manifest.digest, *others}) == len(others) + 1


def test_the_name_of_a_bundle_is_the_start_of_its_digest(manifest: Manifest) -> None:
    named = manifest.model_copy(update={"digest": "0123456789abcdef" * 4})

    assert named.bundle_id == "b-0123456789ab"


def test_the_threshold_is_that_of_the_operating_point(manifest: Manifest) -> None:
    assert manifest.operating_point is manifest.calibration.operating_point
    assert manifest.threshold == 0.8


def test_without_an_operating_point_there_is_no_threshold(manifest: Manifest) -> None:
    calibration = manifest.calibration.model_copy(update={"operating_point": None})

    assert manifest.model_copy(update={"calibration": calibration}).threshold is None


def test_an_unknown_key_is_refused_wherever_it_stands(manifest: Manifest) -> None:
    paths = list(objects_in(fields_of(manifest)))
    assert len(paths) > 10

    for path in paths:
        fields = fields_of(manifest)
        object_at(fields, path)["surprise"] = 1

        with pytest.raises(ValidationError, match="surprise"):
            Manifest.model_validate(fields)


def test_a_missing_key_is_refused_wherever_it_stood(manifest: Manifest) -> None:
    whole = fields_of(manifest)
    keys = [(path, key) for path in objects_in(whole) for key in object_at(whole, path)]
    optional = {((), "digest"), *((("files",), name) for name in manifest.files)}

    for path, key in set(keys) - optional:
        fields = fields_of(manifest)
        del object_at(fields, path)[key]

        with pytest.raises(ValidationError, match="Field required"):
            Manifest.model_validate(fields)


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("encoder", "dim", 0),
        ("encoder", "max_tokens", 2),
        ("encoder", "parity_max_error", -1e-9),
        ("encoder", "parity_max_error", float("nan")),
        ("catalogue", "products", 0),
        ("training", "config_sha256", "0" * 63),
        ("training", "data_sha256", "G" * 64),
        ("training", "epochs", -1),
        ("training", "epochs", float("inf")),
        ("golden_tolerance", "embedding", 0),
        ("golden_tolerance", "embedding", float("inf")),
        ("golden_tolerance", "similarity", float("nan")),
        ("calibration", "target_precision", 1.0),
        ("calibration", "target_precision", 0.0),
        ("calibration", "confidence", 1.0),
        ("calibration", "queries", -1),
    ],
)
def test_a_number_out_of_its_range_is_refused(
    manifest: Manifest, path: str, key: str, value: object
) -> None:
    fields = fields_of(manifest)
    fields[path][key] = value

    with pytest.raises(ValidationError, match=key):
        Manifest.model_validate(fields)


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 1.0000001},
        {"threshold": -1.0000001},
        {"threshold": float("nan")},
        {"target_precision": 1.0},
        {"target_precision": 0.0},
        {"confidence": 1.0},
        {"confidence": float("nan")},
        {"queries": 0, "accepted": 0, "wrong": 0},
        {"accepted": 0, "wrong": 0},
        {"wrong": -1},
        {"wrong": 81},
        {"accepted": 101},
        {"p_value": 1.01},
        {"precision_lower_bound": -0.01},
    ],
)
def test_an_operating_point_without_sense_is_refused(change: Fields) -> None:
    with pytest.raises(ValidationError):
        OperatingPoint(**{**POINT, **change})


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 50))
def test_counts_are_taken_exactly_when_they_are_nested(
    queries: int, accepted: int, wrong: int
) -> None:
    fields = {**POINT, "queries": queries, "accepted": accepted, "wrong": wrong}

    if wrong <= accepted <= queries:
        point = OperatingPoint(**fields)
        assert 0 <= point.precision <= 1
        assert 0 < point.coverage <= 1
    else:
        with pytest.raises(ValidationError, match="wrong <= accepted <= queries"):
            OperatingPoint(**fields)


@pytest.mark.parametrize(
    ("queries", "accepted", "wrong", "coverage", "precision"),
    [(100, 80, 2, 0.8, 0.975), (1, 1, 0, 1.0, 1.0), (4, 1, 1, 0.25, 0.0)],
)
def test_coverage_and_precision_are_these_shares(
    queries: int, accepted: int, wrong: int, coverage: float, precision: float
) -> None:
    point = OperatingPoint(**{**POINT, "queries": queries, "accepted": accepted, "wrong": wrong})

    assert (point.coverage, point.precision) == (coverage, precision)


def test_a_record_cannot_be_changed_in_place(manifest: Manifest) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        manifest.calibration.operating_point = None  # type: ignore[misc]  # the point of the test

    assert isinstance(manifest.calibration, Calibration)


@pytest.mark.parametrize(("start", "flip"), [(0, 0x01), (1, 0x04), (2, 0x20), (0, 0x80), (1, 0x02)])
def test_a_manifest_with_one_flipped_byte_is_refused(
    own_bundle: Path, start: int, flip: int
) -> None:
    path = own_bundle / MANIFEST
    whole = path.read_bytes()

    for position in range(start, len(whole), 3):
        flipped = bytearray(whole)
        flipped[position] ^= flip
        path.write_bytes(flipped)

        with pytest.raises(BundleError):
            open_bundle(own_bundle)


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.rstrip("\n"),
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace('"seed": 0', '"seed": false'),
        lambda text: text.replace('"seed": 0', '"seed": 0.0'),
        lambda text: text.replace('"seed": 0', '"seed": "0"'),
        lambda text: text.replace('"seed": 0', '"seed": 1,\n    "seed": 0'),
        lambda text: text.replace('"schema_version": 1', '"schema_version": true'),
        lambda text: text.replace('"schema_version": 1', '"schema_version": 1.0'),
        lambda text: text.replace('"threshold": 0.8', '"threshold": 0.80'),
        lambda text: text.replace('"threshold": 0.8', '"threshold": 8e-1'),
        lambda text: text.replace('"release": "test"', '"release": "t\\u0065st"'),
        lambda text: json.dumps(json.loads(text)),
    ],
)
def test_a_manifest_that_says_the_same_in_other_bytes_is_refused(
    own_bundle: Path, rewrite: Callable[[str], str]
) -> None:
    path = own_bundle / MANIFEST
    text = path.read_text(encoding="utf-8")
    path.write_text(rewrite(text), encoding="utf-8", newline="")
    assert rewrite(text) != text

    with pytest.raises(BundleCorruptError, match="altered"):
        open_bundle(own_bundle)


@pytest.mark.parametrize(
    "edit",
    [
        lambda fields: fields["calibration"]["operating_point"].update(threshold=0.1),
        lambda fields: fields["calibration"].update(operating_point=None),
        lambda fields: fields["golden_tolerance"].update(similarity=2.0),
        lambda fields: fields.update(digest="0" * 64),
        lambda fields: fields.update(digest=""),
        lambda fields: fields.pop("digest"),
    ],
)
def test_a_manifest_edited_by_hand_is_refused(own_bundle: Path, edit: Edit) -> None:
    path = own_bundle / MANIFEST
    fields = json.loads(path.read_bytes())
    edit(fields)
    path.write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    with pytest.raises(BundleCorruptError, match=f"{MANIFEST} was altered"):
        open_bundle(own_bundle)

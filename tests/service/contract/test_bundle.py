import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.contract import bundle as bundles
from service.contract.bundle import MANIFEST, REQUIRED, digest_file, open_bundle
from service.contract.errors import BundleCorruptError, BundleIncompatibleError
from service.contract.manifest import Manifest
from tests.tiny import reseal

Damage = Callable[[bytes], bytes]


def flip(content: bytes, position: int) -> bytes:
    damaged = bytearray(content)
    damaged[position] ^= 1
    return bytes(damaged)


DAMAGES: dict[str, Damage] = {
    "first byte flipped": lambda content: flip(content, 0),
    "middle byte flipped": lambda content: flip(content, len(content) // 2),
    "last byte flipped": lambda content: flip(content, -1),
    "late byte flipped": lambda content: flip(content, -len(content) // 7),
    "last byte lost": lambda content: content[:-1],
    "second half lost": lambda content: content[: len(content) // 2],
    "everything lost": lambda _: b"",
    "a byte added": lambda content: content + b"\0",
    "zeroes in its place": lambda content: bytes(len(content)),
}


def test_a_whole_bundle_opens_with_the_manifest_that_was_sealed(tiny_bundle: Path) -> None:
    bundle = open_bundle(tiny_bundle)

    written = Manifest.model_validate_json((tiny_bundle / MANIFEST).read_bytes())
    assert (bundle.folder, bundle.manifest) == (tiny_bundle, written)
    assert bundle.path(bundles.ENCODER) == tiny_bundle / "encoder.onnx"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", REQUIRED)
def test_a_damaged_file_is_refused_by_name(own_bundle: Path, name: str, damage: Damage) -> None:
    path = own_bundle / name
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(BundleCorruptError, match=str(path)):
        open_bundle(own_bundle)


@pytest.mark.parametrize("name", [*REQUIRED, MANIFEST])
def test_a_missing_file_is_refused_by_name(own_bundle: Path, name: str) -> None:
    (own_bundle / name).unlink()

    with pytest.raises(BundleCorruptError, match=f"{name} cannot be read"):
        open_bundle(own_bundle)


@pytest.mark.parametrize("name", [*REQUIRED, MANIFEST])
def test_a_folder_in_the_place_of_a_file_is_refused_by_name(own_bundle: Path, name: str) -> None:
    (own_bundle / name).unlink()
    (own_bundle / name).mkdir()

    with pytest.raises(BundleCorruptError, match=f"{name} cannot be read"):
        open_bundle(own_bundle)


@pytest.mark.parametrize(("here", "there"), [(REQUIRED[0], REQUIRED[1]), (REQUIRED[3], MANIFEST)])
def test_files_that_changed_places_are_refused(own_bundle: Path, here: str, there: str) -> None:
    one, other = (own_bundle / here).read_bytes(), (own_bundle / there).read_bytes()
    (own_bundle / here).write_bytes(other)
    (own_bundle / there).write_bytes(one)

    with pytest.raises(BundleCorruptError):
        open_bundle(own_bundle)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_manifest_that_names_no_such_file_is_refused(own_bundle: Path, name: str) -> None:
    manifest = open_bundle(own_bundle).manifest
    files = {key: value for key, value in manifest.files.items() if key != name}
    lacking = manifest.model_copy(update={"files": files}).sealed()
    (own_bundle / MANIFEST).write_bytes(lacking.to_bytes())

    with pytest.raises(BundleCorruptError, match=f"names no {name}"):
        open_bundle(own_bundle)


def test_a_further_file_that_the_manifest_names_is_checked_as_well(own_bundle: Path) -> None:
    manifest = open_bundle(own_bundle).manifest
    extra = own_bundle / "encoder.int8.onnx"
    extra.write_bytes(b"weights")
    files = {**manifest.files, extra.name: digest_file(extra)}
    (own_bundle / MANIFEST).write_bytes(
        manifest.model_copy(update={"files": files}).sealed().to_bytes()
    )
    assert extra.name in open_bundle(own_bundle).manifest.files

    extra.write_bytes(b"weightz")

    with pytest.raises(BundleCorruptError, match=r"encoder\.int8\.onnx was altered"):
        open_bundle(own_bundle)


def test_a_file_that_the_manifest_does_not_name_changes_nothing(own_bundle: Path) -> None:
    before = open_bundle(own_bundle).manifest
    (own_bundle / "notes.txt").write_text("kept beside the bundle")

    assert open_bundle(own_bundle).manifest == before


def test_a_manifest_of_another_bundle_is_refused(own_bundle: Path, tiny_bundle: Path) -> None:
    (own_bundle / bundles.GOLDEN).write_bytes(b"other golden examples\n")
    reseal(own_bundle)
    (own_bundle / bundles.GOLDEN).write_bytes((tiny_bundle / bundles.GOLDEN).read_bytes())

    with pytest.raises(BundleCorruptError, match=r"golden\.jsonl"):
        open_bundle(own_bundle)


def test_a_missing_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleCorruptError, match=r"no bundle in .*absent.*python -m export build"):
        open_bundle(tmp_path / "absent")


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BundleCorruptError, match="no bundle in"):
        open_bundle(tmp_path / "file")


@pytest.mark.parametrize("key", ["schema_version", "normaliser_version"])
@pytest.mark.parametrize("version", [0, 2, 99, "1", None, [1], 1.5])
def test_a_bundle_of_another_version_is_refused_with_both_versions(
    own_bundle: Path, key: str, version: object
) -> None:
    fields: dict[str, Any] = json.loads((own_bundle / MANIFEST).read_bytes())
    fields[key] = version
    (own_bundle / MANIFEST).write_text(json.dumps(fields), encoding="utf-8")

    with pytest.raises(BundleIncompatibleError) as refused:
        open_bundle(own_bundle)

    assert f"{key} {version!r}, this release reads 1" in str(refused.value)


def test_a_bundle_of_a_later_release_is_incompatible_whatever_else_it_holds(
    own_bundle: Path,
) -> None:
    (own_bundle / MANIFEST).write_text('{"schema_version": 2, "novelty": {}}')

    with pytest.raises(BundleIncompatibleError, match="schema_version 2"):
        open_bundle(own_bundle)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\xfa", "is not JSON"),
        (b"[]", "holds no JSON object"),
        (b"1", "holds no JSON object"),
        (b"null", "holds no JSON object"),
    ],
)
def test_a_manifest_that_is_no_json_object_is_refused(
    own_bundle: Path, content: bytes, message: str
) -> None:
    (own_bundle / MANIFEST).write_bytes(content)

    with pytest.raises(BundleCorruptError, match=message):
        open_bundle(own_bundle)


def test_a_manifest_with_a_wrong_field_is_refused_by_the_name_of_the_field(
    own_bundle: Path,
) -> None:
    fields = json.loads((own_bundle / MANIFEST).read_bytes())
    fields["calibration"]["operating_point"]["threshold"] = 2
    (own_bundle / MANIFEST).write_text(json.dumps(fields), encoding="utf-8")

    with pytest.raises(BundleCorruptError, match=r"calibration\.operating_point\.threshold"):
        open_bundle(own_bundle)


@pytest.mark.parametrize(
    ("content", "sha256"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ],
)
def test_a_file_has_this_digest(tmp_path: Path, content: bytes, sha256: str) -> None:
    (tmp_path / "file").write_bytes(content)

    found = digest_file(tmp_path / "file")

    assert (found.sha256, found.size_bytes) == (sha256, len(content))

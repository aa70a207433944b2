"""A bundle on disk: its file names, and the check that it is whole before anything loads it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from service.contract.errors import BundleCorruptError, BundleIncompatibleError
from service.contract.manifest import SCHEMA_VERSION, FileDigest, Manifest
from service.contract.text import NORMALISER_VERSION

MANIFEST = "manifest.json"
ENCODER = "encoder.onnx"
TOKENIZER = "tokenizer.json"
INDEX = "products.faiss"
VECTORS = "vectors.npy"
CATALOGUE = "products.parquet"
GOLDEN = "golden.jsonl"
LEXICAL = (
    "lexical.data.npy",
    "lexical.indices.npy",
    "lexical.indptr.npy",
    "lexical.vocabulary.json",
    "lexical.parameters.json",
)
"""The files of the lexical index, which the manifest declares where there is one."""
REQUIRED = (ENCODER, TOKENIZER, INDEX, CATALOGUE, GOLDEN)


@dataclass(frozen=True)
class Bundle:
    """A folder whose every file is what its manifest says."""

    folder: Path
    manifest: Manifest

    def path(self, name: str) -> Path:
        """Return the path of one of the bundle's files."""
        return self.folder / name


def open_bundle(folder: Path) -> Bundle:
    """Return the bundle in ``folder`` after checking every byte of it.

    Raises:
        BundleCorruptError: if a file is missing, torn or altered.
        BundleIncompatibleError: if the bundle was made for another release.
    """
    manifest = _read_manifest(folder)
    retriever = manifest.catalogue.retriever
    lexical = LEXICAL if manifest.has_lexical_index else ()
    for name in (*REQUIRED, *(retriever.files if retriever else ()), *lexical):
        if name not in manifest.files:
            message = f"{folder / MANIFEST} names no {name}; build the bundle again"
            raise BundleCorruptError(message)
    for name, recorded in manifest.files.items():
        _verify(folder / name, recorded)
    return Bundle(folder=folder, manifest=manifest)


def digest_file(path: Path) -> FileDigest:
    """Return size and SHA-256 of a file."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return FileDigest(sha256=sha256, size_bytes=path.stat().st_size)


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        message = (
            f"no bundle in {folder}: {MANIFEST} cannot be read ({error.strerror}); "
            "name a folder that `python -m export build` wrote"
        )
        raise BundleCorruptError(message) from error
    fields = _parse(path, content)
    _check_versions(folder, fields)
    try:
        manifest = Manifest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"{path}: {where}: {first['msg']}; build the bundle again"
        raise BundleCorruptError(message) from error
    if manifest.to_bytes() != content or manifest.content_digest() != manifest.digest:
        message = f"{path} was altered since the bundle was sealed; build the bundle again"
        raise BundleCorruptError(message)
    return manifest


def _parse(path: Path, content: bytes) -> Mapping[str, object]:
    try:
        fields = json.loads(content)
    except ValueError as error:
        message = f"{path} is not JSON ({error}); build the bundle again"
        raise BundleCorruptError(message) from error
    if not isinstance(fields, dict):
        message = f"{path} holds no JSON object; build the bundle again"
        raise BundleCorruptError(message)
    return fields  # pyright: ignore[reportUnknownVariableType]  # keys are checked by pydantic


def _check_versions(folder: Path, fields: Mapping[str, object]) -> None:
    for key, mine in (
        ("schema_version", SCHEMA_VERSION),
        ("normaliser_version", NORMALISER_VERSION),
    ):
        found = fields.get(key)
        if found != mine:
            message = (
                f"bundle {folder} has {key} {found!r}, this release reads {mine}; "
                "build the bundle again or deploy the matching release"
            )
            raise BundleIncompatibleError(message)


def _verify(path: Path, recorded: FileDigest) -> None:
    try:
        found = digest_file(path)
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); copy or build the bundle again"
        raise BundleCorruptError(message) from error
    if found.size_bytes != recorded.size_bytes:
        message = (
            f"{path} has {found.size_bytes} bytes, its manifest says {recorded.size_bytes}; "
            "copy or build the bundle again"
        )
        raise BundleCorruptError(message)
    if found.sha256 != recorded.sha256:
        message = f"{path} was altered since the bundle was sealed; copy or build it again"
        raise BundleCorruptError(message)

"""Seals a bundle: digests, manifest, everything on disk, then one rename makes it visible."""

import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from service.contract import bundle as bundles
from service.contract.bundle import Bundle, digest_file
from service.contract.errors import BundleError
from service.contract.manifest import FileDigest, Manifest
from training.durable import flush_to_disk


@contextmanager
def new_bundle(out: Path, *, within: Path | None = None) -> Generator[Path]:
    """Yield a temporary folder; it is removed unless `seal` renamed it.

    Args:
        out: where the bundle shall appear.
        within: where the temporary folder is made, on the disk of ``out``; None makes it beside
            ``out``.

    Raises:
        BundleError: if ``out`` already holds something, or cannot be written.
    """
    check_free(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=within or out.parent))
    except OSError as error:
        raise _unwritable(out, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def seal(
    folder: Path, out: Path, make_manifest: Callable[[dict[str, FileDigest]], Manifest]
) -> Bundle:
    """Write the manifest, flush everything to disk and rename ``folder`` to ``out``.

    Args:
        folder: what `new_bundle` yielded, holding every file but the manifest.
        out: where the bundle appears, whole or not at all.
        make_manifest: gets the digest of every file, returns the manifest (not yet sealed).

    Raises:
        BundleCorruptError: if the sealed bundle does not open.
        BundleError: if something else has appeared at ``out``.
    """
    files = {path.name: digest_file(path) for path in sorted(folder.iterdir())}
    manifest = make_manifest(files).sealed()
    (folder / bundles.MANIFEST).write_bytes(manifest.to_bytes())
    bundles.open_bundle(folder)
    folder.chmod(0o755)  # mkdtemp made it private; a service may run as another user
    for path in folder.iterdir():
        path.chmod(0o644)
        flush_to_disk(path)
    flush_to_disk(folder)
    try:
        folder.replace(out)  # an empty folder at `out` is replaced as well
    except OSError as error:
        message = f"the bundle cannot be moved to {out} ({error.strerror}); name another folder"
        raise BundleError(message) from error
    flush_to_disk(out.parent)
    return Bundle(folder=out, manifest=manifest)


def check_free(out: Path) -> None:
    """Say now, not after the work, that no folder can be renamed to ``out``.

    Raises:
        BundleError: if ``out`` already holds something, or cannot be looked at.
    """
    try:
        if out.name in ("", "..") or out.is_symlink() or out.is_mount():
            message = f"{out} is a link, a mount or no name of its own; name a new folder inside it"
            raise BundleError(message)
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            message = f"{out} already exists; a bundle is never edited, name another folder"
            raise BundleError(message)
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> BundleError:
    message = f"no bundle can be written to {out} ({error.strerror}); name another folder"
    return BundleError(message)

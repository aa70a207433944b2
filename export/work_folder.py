"""The folder beside a bundle's place that holds an unfinished build, and who may work there."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from export.bundle_writer import check_free
from export.vector_file import NOTES
from service.contract.errors import BundleError
from training.console import complain, first_line
from training.folder_lock import alone_in


@contextmanager
def work_beside(out: Path) -> Generator[Path]:
    """Yield the work folder of ``out``, which no other process has; a later build goes on there.

    It is removed at the end, unless the block failed and left vectors to go on with.

    Raises:
        BundleError: if ``out`` is taken, another process builds it, or the disk is full.
    """
    check_free(out)
    with alone_in(out, doing="builds", error_kind=BundleError):
        folder = out.parent / f".{out.name}.partial"
        is_finished = False
        try:
            folder.mkdir(exist_ok=True)
            _remove_half_bundles(folder)
            yield folder
            is_finished = True
        except OSError as error:
            why = error.strerror or first_line(error)
            message = f"{out} cannot be written ({why}); make room, then run the same command again"
            raise BundleError(message) from error
        finally:
            _leave(folder, is_finished=is_finished)


def _remove_half_bundles(folder: Path) -> None:
    """Remove what a build that was killed left of a bundle; its vectors stay."""
    for half in folder.iterdir():
        if half.is_dir():
            shutil.rmtree(half)


def _leave(folder: Path, *, is_finished: bool) -> None:
    if is_finished or not (folder / NOTES).is_file():
        shutil.rmtree(folder, ignore_errors=True)
    else:
        complain(f"the vectors made so far are in {folder}; the same command goes on from them")

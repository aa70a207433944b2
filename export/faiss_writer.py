"""Writes FAISS indexes so that a full disk is an error and never a shorter file."""

from pathlib import Path

import faiss

from service.contract.errors import BundleError
from training.console import first_line


def write_faiss_file(path: Path, index: faiss.Index) -> None:
    """Write an index, whole or with an error.

    FAISS's own writer does not look at what closing the file says, so that on a full disk the
    end of an index can be missing without a word.

    Raises:
        BundleError: if the file cannot be written.
    """
    try:
        with path.open("wb") as file:
            writer = faiss.PyCallbackIOWriter(file.write)  # pyright: ignore[reportAttributeAccessIssue]  # made by SWIG
            faiss.write_index(index, writer)
    except (OSError, RuntimeError) as error:
        why = (isinstance(error, OSError) and error.strerror) or first_line(error)
        message = f"{path} cannot be written ({why}); make room, then run the same command again"
        raise BundleError(message) from error

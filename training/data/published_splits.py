"""Whether a data folder keeps the splits of a published set, whose train and test may overlap."""

import json
from pathlib import Path

from service.contract.errors import DataError

PREPARED = "prepared.json"
"""File of a data folder that holds the record of how it was made."""

FIELD = "published_splits"
"""Field of the record that says so."""


def has_published_splits(folder: Path) -> bool:
    """Return whether the record of a data folder says so; a folder without a record does not.

    Raises:
        DataError: if the record cannot be read.
    """
    path = folder / PREPARED
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())
        message = f"{path} is no record that `prepare` wrote ({said}); prepare the folder again"
        raise DataError(message) from error
    return isinstance(record, dict) and record.get(FIELD) is True

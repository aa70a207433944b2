"""Short ways to make labelled queries, catalogues and files for the tests of the data."""

from pathlib import Path

from training.data.matches import RELEVANT, LabelledQuery
from training.data.products import Product, Products


def labelled(
    query_id: str, text: str, *positives: str, split: str | None = None, row: int = 2
) -> LabelledQuery:
    """Return a query whose positives are all that is known of it."""
    return LabelledQuery(
        query_id=query_id,
        text=text,
        positives=tuple(sorted(positives)),
        split=split,
        user_id=None,
        grades=dict.fromkeys(positives, RELEVANT),
        row=row,
    )


def catalogue(*product_ids: str) -> Products:
    """Return a catalogue whose titles are made from the ids."""
    items = tuple(Product(name, f"Title of {name}", None, {}) for name in product_ids)
    return Products(items, ())


def write(path: Path, *lines: str) -> Path:
    """Write lines to a file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path

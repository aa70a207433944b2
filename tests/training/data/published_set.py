"""A tiny set as the Extreme Classification Repository publishes them, in each of its layouts."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import sparse

TITLES = ("Sony XM4", "", "Café Bose", "Lamp\x85X", "Sony\x1cXM4, black")
TRAIN_ROWS: Sequence[tuple[str, tuple[int, ...]]] = (
    ("sony headphones", (0,)),
    ("", (0,)),
    ("bose\u2028café", (2, 2)),
    ('lamp\x85"new"', (3, 1)),
    ("no product", ()),
    ("of a product without title", (1,)),
    ("sony headphones", (4,)),
    *((f"lamp number {number}", (3,)) for number in range(60)),
)
TEST_ROWS: Sequence[tuple[str, tuple[int, ...]]] = (
    ("Sony  Headphones", (0, 3)),
    ("\x0b", (3,)),
    ("nothing like it", ()),
    ("new lamp", (3, 4)),
)
TRAIN_FILTER = ("0 0", "4 2", "2 1", "6 4", "6 0")
TEST_FILTER = ("0 3", "3 2", "3 2")


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a file, zipped where its name says so, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def json_layout(folder: Path, *, suffix: str = ".json.gz") -> Path:
    """Write the set as JSON Lines."""
    titles = [{"uid": f"B0{i}", "title": title} for i, title in enumerate(TITLES)]
    write_bytes(folder / f"lbl{suffix}", json_lines(titles))
    for prefix, rows in (("trn", TRAIN_ROWS), ("tst", TEST_ROWS)):
        entries = [
            {"uid": "same", "title": text, "target_ind": labels, "target_rel": [1.0] * len(labels)}
            for text, labels in rows
        ]
        write_bytes(folder / f"{prefix}{suffix}", json_lines(entries))
    return write_filters(folder)


def json_lines(entries: Sequence[object]) -> bytes:
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries).encode()


def raw_layout(
    folder: Path, *, sparse_text: bool = False, raw: str = "raw", suffix: str = ".txt"
) -> Path:
    """Write the set as raw text; one line is in Latin-1, and the lines of test end in CRLF."""
    titles = [title.encode("latin-1" if "é" in title else "utf-8") for title in TITLES]
    write_bytes(folder / raw / f"Y{suffix}", b"".join(title + b"\n" for title in titles))
    for prefix, rows, end in (("trn", TRAIN_ROWS, b"\n"), ("tst", TEST_ROWS, b"\r\n")):
        texts = end.join(text.encode() for text, _ in rows)
        write_bytes(folder / raw / f"{prefix}_X{suffix}", texts)
        labels = [labels for _, labels in rows]
        if sparse_text:
            write_bytes(folder / f"{prefix}_X_Y{suffix}", label_text(labels))
        else:
            sparse.save_npz(folder / f"Y.{prefix}.npz", label_matrix(labels))
    return write_filters(folder)


def label_text(labels: Sequence[tuple[int, ...]]) -> bytes:
    rows = [" ".join(f"{label}:1.0" for label in row) for row in labels]
    return "\n".join([f"{len(labels)} {len(TITLES)}", *rows, ""]).encode()


def label_matrix(labels: Sequence[tuple[int, ...]]) -> sparse.csr_array:
    indices = [label for row in labels for label in row]
    bounds = np.cumsum([0, *map(len, labels)])
    shape = (len(labels), len(TITLES))
    return sparse.csr_array((np.ones(len(indices)), indices, bounds), shape=shape)


def write_filters(folder: Path) -> Path:
    write_bytes(folder / "filter_labels_train.txt", "\n".join(TRAIN_FILTER).encode())
    write_bytes(folder / "filter_labels_test.txt", ("\n".join(TEST_FILTER) + "\n").encode())
    return folder

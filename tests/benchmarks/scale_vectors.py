"""Vectors of a million invented titles, by the exported encoder, into a file that may be resumed.

The first step of `make bench-scale`. Titles are those of the seeded catalogue, all different and
in its order, so that the first rows are a smaller catalogue. The encoder is the packaged one,
untrained, exported by the project's own exporter (fp32) and run on one core. A run that was
stopped continues after the last block that is on the disk.
"""

import argparse
import json
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from export.onnx_encoder import write_onnx
from service.contract import bundle as bundles
from service.contract.bundle import digest_file
from service.contract.tokens import TextTokeniser
from service.encoder import Encoder
from training.config import load_config
from training.console import progress, say
from training.data.synthetic_catalogue import inventions
from training.data.table_writer import write_bytes
from training.encoder import load_encoder
from training.folder_lock import alone_in

SEED = 0
BLOCK = 4096
"""Titles encoded between two notes of how far the work is; half a minute's."""


@dataclass
class Made:
    """How far a file of vectors is.

    Attributes:
        encoder: SHA-256 of the graph that made them.
        rows: how many rows of the file are on the disk.
        cpu_seconds: time of the processor that they took.
    """

    encoder: str
    rows: int = 0
    cpu_seconds: float = 0.0


def main() -> None:
    """Encode the titles that are still missing."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.scale_vectors", description=__doc__
    )
    parser.add_argument("--folder", type=Path, required=True, help="where the vectors are kept")
    parser.add_argument("--rows", type=int, default=1_000_000, help="that the file has room for")
    parser.add_argument("--until", type=int, help="rows to fill; default all of them")
    parser.add_argument("--encoder", type=Path, help="a folder with another exported encoder")
    parser.add_argument("--name", default="titles-fp32", help="of the files; default titles-fp32")
    arguments = parser.parse_args()
    folder = arguments.encoder or exported(arguments.folder / "encoder")
    path = arguments.folder / f"{arguments.name}.npy"
    encode_titles(path, folder, rows=arguments.rows, until=arguments.until or arguments.rows)


def titles(seed: int = SEED, *, start: int = 0) -> Generator[str]:
    """Yield the titles of the invented catalogue, without end and no two alike."""
    return (one.product.title for one in islice(inventions(seed), start, None))


def exported(folder: Path) -> Path:
    """Write the untrained packaged encoder into ``folder``, unless it is there, and return it."""
    if not (folder / bundles.TOKENIZER).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        config = load_config().encoder
        loaded = load_encoder(config.base, max_tokens=config.max_tokens)
        write_onnx(loaded.model, folder / bundles.ENCODER)
        loaded.tokenizer.save(str(folder / bundles.TOKENIZER))
    return folder


def open_encoder(folder: Path) -> Encoder:
    """Open an exported encoder, to be run on one core."""
    tokeniser = TextTokeniser.from_file(folder / bundles.TOKENIZER)
    return Encoder(folder / bundles.ENCODER, tokeniser, workers=1)


def encode_titles(path: Path, encoder_folder: Path, *, rows: int, until: int) -> None:
    """Fill ``path`` (.npy, float32, rows x dim) with the vectors of the first titles.

    Args:
        path: the file, made if it is not there.
        encoder_folder: holds the graph and the tokenizer.
        rows: how many the file has room for.
        until: how many of them shall be filled; those that are, stay.
    """
    encoder = open_encoder(encoder_folder)
    with alone_in(path, doing="encodes into"):
        made = _made_so_far(path, digest_file(encoder_folder / bundles.ENCODER).sha256)
        table = _table(path, rows, encoder.dim)
        source = titles(start=made.rows)
        with progress(until, f"encoding titles into {path.name}", unit="titles") as shown:
            shown.resume_at(made.rows)
            while made.rows < until:
                block = list(islice(source, min(BLOCK, rows - made.rows)))
                _append(path, table, encoder, made, block)
                shown.advance(len(block))
    say(f"{path}: {made.rows} titles, {made.cpu_seconds:.0f} s of the processor")


def _append(
    path: Path,
    table: Float32[np.memmap, "title dim"],
    encoder: Encoder,
    made: Made,
    block: Sequence[str],
) -> None:
    started = time.process_time()
    table[made.rows : made.rows + len(block)] = encoder.embed(block)
    table.flush()
    made.cpu_seconds += time.process_time() - started
    made.rows += len(block)
    write_bytes(note_of(path), json.dumps(asdict(made)).encode())


def rows_made(path: Path) -> int:
    """Return how many rows of a file of vectors are filled."""
    return int(json.loads(note_of(path).read_text())["rows"]) if note_of(path).is_file() else 0


def _made_so_far(path: Path, encoder: str) -> Made:
    if not path.is_file() or not note_of(path).is_file():
        return Made(encoder)
    made = Made(**json.loads(note_of(path).read_text()))
    if made.encoder != encoder:
        message = f"{path} is of another encoder; name another file"
        raise SystemExit(message)
    return made


def _table(path: Path, rows: int, dim: int) -> Float32[np.memmap, "title dim"]:
    """Open the file of vectors, or make it."""
    if not path.is_file():
        table = np.lib.format.open_memmap(path, "w+", np.float32, (rows, dim))
        table.flush()
    table = np.lib.format.open_memmap(path, "r+")
    if table.shape != (rows, dim):
        message = f"{path} has {table.shape[0]} rows of {table.shape[1]}; name another file"
        raise SystemExit(message)
    return table


def note_of(path: Path) -> Path:
    """Return where it is noted how far a file of vectors is."""
    return path.with_suffix(".json")


if __name__ == "__main__":
    main()

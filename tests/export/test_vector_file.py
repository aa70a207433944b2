import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.vector_file import NOTES, VECTORS, VectorFile
from tests.full_disk import no_room

ROWS, DIM, BLOCK = 20, 16, 4
TABLE = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
BLOCK_BYTES = BLOCK * DIM * 4


def opened(folder: Path, *, key: str = "k", rows: int = ROWS, dim: int = DIM) -> VectorFile:
    return VectorFile(folder, key=key, rows=rows, dim=dim)


def fill(file: VectorFile, *, until: int = ROWS) -> None:
    while file.done < until:
        file.append(TABLE[file.done : file.done + BLOCK])


def started(folder: Path, *, blocks: int) -> bytes:
    """Leave a file of so many blocks and return its notes."""
    with opened(folder) as file:
        fill(file, until=blocks * BLOCK)
    return (folder / NOTES).read_bytes()


def test_rows_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    with opened(tmp_path) as file:
        fill(file)
        table = file.table()

    assert np.array_equal(table, TABLE)
    assert not table.flags.writeable


@settings(max_examples=25)
@given(blocks=st.integers(0, ROWS // BLOCK), cut=st.integers(0, 400))
def test_a_file_cut_anywhere_in_its_notes_is_filled_to_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, blocks: int, cut: int
) -> None:
    """A process may die at any byte of a note."""
    folder = tmp_path_factory.mktemp("cut")
    notes = started(folder, blocks=blocks)
    (folder / NOTES).write_bytes(notes[: len(notes) - cut] if cut < len(notes) else b"")

    with opened(folder) as file:
        assert file.done <= blocks * BLOCK
        fill(file)
        assert np.array_equal(file.table(), TABLE)
    with opened(folder) as file:
        assert file.done == ROWS


@pytest.mark.parametrize("noted", ["whole note", "torn note"])
def test_a_torn_last_block_is_made_again(tmp_path: Path, noted: str) -> None:
    notes = started(tmp_path, blocks=3)
    with (tmp_path / VECTORS).open("r+b") as file:
        file.seek(3 * BLOCK_BYTES - 5)
        file.write(bytes(5))
    (tmp_path / NOTES).write_bytes(notes if noted == "whole note" else notes[:-4])

    with opened(tmp_path) as file:
        assert (file.done, file.is_leftover_discarded) == (2 * BLOCK, False)
        fill(file)
        assert np.array_equal(file.table(), TABLE)
    with opened(tmp_path) as file:
        assert file.done == ROWS


@pytest.mark.parametrize(
    "damage",
    [
        "first block",
        "shorter",
        "longer",
        "no vectors",
        "no JSON",
        "no number",
        "backwards",
        "no object",
        "no head",
    ],
)
def test_a_damaged_file_is_not_gone_on_with(tmp_path: Path, damage: str) -> None:
    vectors, notes = tmp_path / VECTORS, started(tmp_path, blocks=3)
    head, first, *others = notes.splitlines(keepends=True)
    data = vectors.read_bytes()
    spoiled = {
        "first block": (b"\xff" + data[1:], notes),
        "shorter": (data[:-1], notes),
        "longer": (data + b"\0", notes),
        "no JSON": (data, b"".join([head, first, b"{\n", *others])),
        "no number": (data, b"".join([head, b'{"until": "4", "crc32": 0}\n', *others])),
        "backwards": (data, b"".join([head, first, b'{"until": 0, "crc32": 0}\n', *others])),
        "no object": (data, b"".join([head, b"[]\n", *others])),
        "no head": (data, notes[1:]),
    }
    if damage == "no vectors":
        vectors.unlink()
    else:
        vectors.write_bytes(spoiled[damage][0])
        (tmp_path / NOTES).write_bytes(spoiled[damage][1])

    with opened(tmp_path) as file:
        assert (file.done, file.is_leftover_discarded) == (0, True)
        fill(file)
        assert np.array_equal(file.table(), TABLE)


@pytest.mark.parametrize("other", [{"key": "other"}, {"rows": ROWS + 1}, {"dim": DIM + 1}])
def test_a_file_of_something_else_is_not_gone_on_with(
    tmp_path: Path, other: dict[str, str | int]
) -> None:
    started(tmp_path, blocks=3)

    with opened(tmp_path, **other) as file:  # pyright: ignore[reportArgumentType]  # one of each
        assert (file.done, file.is_leftover_discarded) == (0, True)


def test_a_new_file_is_no_leftover(tmp_path: Path) -> None:
    with opened(tmp_path) as file:
        assert (file.done, file.is_leftover_discarded) == (0, False)


def test_a_disk_without_room_for_all_rows_is_noticed_at_the_start(tmp_path: Path) -> None:
    with no_room(beyond=ROWS * DIM * 4 - 1) as disk_is_full:
        disk_is_full()
        with pytest.raises(OSError, match="too large"):
            opened(tmp_path)

    with opened(tmp_path) as file:
        fill(file)
        assert np.array_equal(file.table(), TABLE)


def test_a_disk_that_fills_up_leaves_the_blocks_before(tmp_path: Path) -> None:
    with opened(tmp_path) as file, no_room(beyond=2 * BLOCK_BYTES + 10) as disk_is_full:
        disk_is_full()
        with pytest.raises(OSError, match="too large"):
            fill(file)

    with opened(tmp_path) as file:
        assert (file.done, file.is_leftover_discarded) == (2 * BLOCK, False)
        fill(file)
        assert np.array_equal(file.table(), TABLE)


def test_what_a_killed_process_wrote_is_gone_on_with(tmp_path: Path) -> None:
    code = (
        "import os, sys; import numpy as np; from pathlib import Path\n"
        "from export.vector_file import VectorFile\n"
        f"file = VectorFile(Path(sys.argv[1]), key='k', rows={ROWS}, dim={DIM})\n"
        f"file.append(np.ones(({BLOCK}, {DIM}), dtype=np.float32)); os._exit(9)"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)  # noqa: S603

    with opened(tmp_path) as file:
        assert (died.returncode, file.done) == (9, BLOCK)
        assert (file.table()[:BLOCK] == 1).all()

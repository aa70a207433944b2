"""The JSON that benchmarks write."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.figures_file import as_text, write_figures

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_is_written_is_read_again(value: object) -> None:
    assert json.loads(as_text(value)) == value


def test_a_run_takes_few_lines(tmp_path: Path) -> None:
    write_figures({"runs": [{"rate": 1, "ms": {"p50": 1.5}}], "seconds": 3}, tmp_path / "x.json")

    assert (tmp_path / "x.json").read_text(encoding="utf-8").splitlines() == [
        "{",
        ' "runs": [',
        "  {",
        '   "rate": 1,',
        '   "ms": {"p50": 1.5}',
        "  }",
        " ],",
        ' "seconds": 3',
        "}",
    ]

import io
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import console
from training.console import Progress, complain, progress, say, table

cells = st.text(st.characters(codec="ascii", exclude_categories=["C"], exclude_characters="|"))
rows = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=6)
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_what_is_said_goes_to_standard_output_a_line_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("one")
    say()
    say("two\n")

    assert capsys.readouterr() == ("one\n\ntwo\n\n", "")


def test_a_complaint_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    complain("no products in p.csv")

    assert capsys.readouterr() == ("", "no products in p.csv\n")


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        (
            ["system", "P@1"],
            [["MiniLM", "0.7"], ["BM25", "0.65"]],
            ["| system |  P@1 |", "| ------ | ---: |", "| MiniLM |  0.7 |", "| BM25   | 0.65 |"],
        ),
        (["a", "k"], [["b", "1"]], ["| a   |   k |", "| --- | --: |", "| b   |   1 |"]),
        (["name"], [], ["| name |", "| ---- |"]),
        (["", ""], [["", ""]], ["|     |     |", "| --- | --: |", "|     |     |"]),
    ],
)
def test_a_table_looks_like_this(
    head: list[str], body: list[list[str]], expected: list[str]
) -> None:
    assert table(head, body) == expected


@given(rows)
def test_every_line_of_a_table_has_the_same_width_and_its_own_cells(
    lines: list[list[str]],
) -> None:
    found = table(lines[0], lines[1:])

    read = [[cell.strip() for cell in line[1:-1].split("|")] for line in found]
    assert len({len(line) for line in found}) == 1
    assert [read[0], *read[2:]] == [[cell.strip() for cell in line] for line in lines]


@given(rows)
def test_the_second_line_of_a_table_is_a_rule_that_markdown_reads(lines: list[list[str]]) -> None:
    rule = table(lines[0], lines[1:])[1]

    assert re.fullmatch(r"\| -{3,}( \| -{2,}:)* \|", rule)


def test_progress_elsewhere_than_on_a_terminal_is_one_plain_line_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress(3, "training", unit="steps") as shown:
        shown.advance(1)
        shown.advance(1, {"loss": "2.0"})
        shown.advance(1, {"loss": "1.5", "rate": "1e-4"})

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    pattern = r"training: 3/3 steps, \d+\.\d steps/s, 0 s left, loss 1\.5, rate 1e-4"
    assert re.fullmatch(pattern, lines[0])


def test_progress_is_said_again_once_the_interval_has_passed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "PLAIN_INTERVAL_SECONDS", 0.0)

    with progress(10, "embedding", unit="texts") as shown:
        shown.advance(4)
        shown.advance(4)

    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "embedding: 4/10 texts",
        "embedding: 8/10 texts",
    ]


def test_work_of_an_earlier_run_counts_as_done_but_not_as_fast(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([100.0, 110.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(seconds))

    with progress(100, "training", unit="steps") as shown:
        shown.resume_at(60)
        shown.advance(20)

    assert capsys.readouterr().err == "training: 80/100 steps, 2.0 steps/s, 10 s left\n"


def test_progress_on_a_terminal_is_a_bar_and_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    with progress(4, "training", unit="steps") as shown:
        shown.resume_at(1)
        shown.advance(3, {"loss": "1.5"})

    assert "training:" in terminal.getvalue()
    assert "\n" not in terminal.getvalue()


def test_progress_is_taken_off_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    kept: list[Progress] = []

    def fail() -> None:
        with progress(4, "training", unit="steps") as shown:
            kept.append(shown)
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    *_, drawn_last, after = terminal.getvalue().split("\r")
    assert (drawn_last.strip(), after) == ("", "")

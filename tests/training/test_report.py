import numpy as np

from training.data.matches import LabelledQuery
from training.evaluation import RankedAnswers, figures_by_group, judge
from training.report import consistency_line, ranking_table, retrieval_table
from training.rules import Rules


def figures(*, depth: int, weights: dict[str, float] | None) -> dict[str, dict[str, object]]:
    query = LabelledQuery("q", "text", ("p",), "test", None, {"p": 2}, 1)
    answers = RankedAnswers((("other", "p"),), np.array([0.5]), depth=depth)
    return dict(figures_by_group(judge([query], answers, {"p"}, rules=Rules(weights=weights))))


def test_both_tables_have_a_row_for_each_system_and_group() -> None:
    systems = {
        "one": figures(depth=100, weights={"p": 2.0}),
        "two": figures(depth=10, weights=None),
    }

    for lines in (retrieval_table(systems), ranking_table(systems)):
        assert len({len(line) for line in lines}) == 1
        assert len(lines) == 2 + 2 * 3


def test_the_second_table_says_what_is_known_and_a_dash_for_the_rest() -> None:
    known = ranking_table({"one": figures(depth=100, weights={"p": 2.0})})
    unknown = ranking_table({"two": figures(depth=10, weights=None)})

    head, _, row, *_ = ([cell.strip() for cell in line.split("|")[1:-1]] for line in known)
    cells = dict(zip(head, row, strict=True))
    assert (cells["P@3"], cells["MRR@10"], cells["R@100"]) == ("0.333", "0.500", "1.000")
    assert (cells["risk area"], cells["PSP@1"], cells["PSP@3"]) == ("1.000", "0.000", "1.000")
    assert unknown[2].split("|")[-5:-1] != known[2].split("|")[-5:-1]
    assert [cell.strip() for cell in unknown[2].split("|")[-4:-1]] == ["-"] * 3


def test_opis_is_said_with_its_meaning() -> None:
    assert "0.0123" in consistency_line(0.01234)
    assert "undefined" in consistency_line(None)

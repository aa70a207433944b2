from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.decision import Reason
from service.contract.errors import BundleCorruptError
from service.contract.golden import GoldenExample, differences, read_golden, write_golden
from service.contract.manifest import GoldenTolerance

NAN = float("nan")
TOLERANCE = GoldenTolerance(embedding=0.25, similarity=0.125)  # exact in binary
KNOWN = GoldenExample(
    text="sony",
    ids=(2, 7, 3),
    embedding=(0.5, -0.5, 0.0),
    product_id="p-1",
    similarity=0.5,
    reason=Reason.BELOW_THRESHOLD,
)
BLANK = GoldenExample(
    text="", ids=(2, 3), embedding=(), product_id=None, similarity=None, reason=Reason.EMPTY_TEXT
)

finite = st.floats(allow_nan=False, allow_infinity=False)
readable_text = st.text(st.characters(codec="utf-8"))
examples = st.builds(
    GoldenExample,
    text=readable_text,
    ids=st.lists(st.integers(0, 2**31)).map(tuple),
    embedding=st.lists(finite).map(tuple),
    product_id=st.none() | readable_text,
    similarity=st.none() | finite,
    reason=st.sampled_from(Reason),
)


@given(st.lists(examples, min_size=1))
def test_examples_read_back_are_the_ones_that_were_written(
    tmp_path_factory: pytest.TempPathFactory, written: list[GoldenExample]
) -> None:
    path = tmp_path_factory.getbasetemp() / "golden.jsonl"

    write_golden(path, written)

    assert read_golden(path) == written


def test_an_example_is_one_line_whatever_its_text(tmp_path: Path) -> None:
    awkward = KNOWN.model_copy(update={"text": "a\nb\r\x00\u2028\x85c"})

    write_golden(tmp_path / "golden.jsonl", [awkward, BLANK])

    assert (tmp_path / "golden.jsonl").read_bytes().count(b"\n") == 2
    assert read_golden(tmp_path / "golden.jsonl") == [awkward, BLANK]


@given(examples)
def test_an_example_does_not_differ_from_itself(example: GoldenExample) -> None:
    assert differences([example], [example], TOLERANCE) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": (2, 8, 3)}, "token ids (2, 8, 3) are not (2, 7, 3)"),
        ({"ids": (2, 7)}, "token ids"),
        ({"ids": ()}, "token ids"),
        ({"embedding": (0.5, -0.5, 0.251)}, "embedding is off by more than 0.25"),
        ({"embedding": (0.5, 0.5, 0.0)}, "embedding"),
        ({"embedding": (0.5, -0.5, NAN)}, "embedding"),
        ({"embedding": (NAN, NAN, NAN)}, "embedding"),
        ({"embedding": (0.5, -0.5, float("inf"))}, "embedding"),
        ({"embedding": (0.5, -0.5)}, "embedding"),
        ({"embedding": (0.5, -0.5, 0.0, 0.0)}, "embedding"),
        ({"embedding": ()}, "embedding"),
        ({"product_id": "p-2"}, "best product 'p-2' is not 'p-1'"),
        ({"product_id": None}, "best product None is not 'p-1'"),
        ({"similarity": 0.626}, "similarity 0.626 is not 0.5"),
        ({"similarity": 0.374}, "similarity"),
        ({"similarity": NAN}, "similarity nan is not 0.5"),
        ({"similarity": None}, "similarity None is not 0.5"),
        ({"reason": Reason.ABOVE_THRESHOLD}, "reason above_threshold is not below_threshold"),
        ({"reason": Reason.ENCODER_FAILED}, "reason"),
    ],
)
def test_a_replay_that_differs_in_one_thing_is_reported(
    change: dict[str, Any], message: str
) -> None:
    replayed = KNOWN.model_copy(update=change)

    found = differences([BLANK, KNOWN], [BLANK, replayed], TOLERANCE)

    assert len(found) == 1
    assert found[0].startswith(f"golden example 1: {message}")


def test_a_recorded_number_that_is_none_matches_nothing() -> None:
    broken = KNOWN.model_copy(update={"embedding": (NAN, NAN, NAN)})

    assert differences([broken], [broken], TOLERANCE) != []


def test_a_blank_text_that_gets_a_product_is_reported() -> None:
    replayed = BLANK.model_copy(update={"product_id": "p-1", "similarity": 0.0})

    assert differences([BLANK], [replayed], TOLERANCE) != []


@pytest.mark.parametrize(
    "change",
    [
        {"embedding": (0.75, -0.75, 0.25)},
        {"similarity": 0.625},
        {"similarity": 0.375},
        {"text": "another spelling of the question"},
    ],
)
def test_a_replay_at_the_tolerance_itself_is_no_difference(change: dict[str, Any]) -> None:
    replayed = KNOWN.model_copy(update=change)

    assert differences([KNOWN], [replayed], TOLERANCE) == []


def test_every_example_that_differs_is_reported_with_its_row() -> None:
    wrong = KNOWN.model_copy(update={"product_id": "p-9"})

    found = differences([KNOWN, KNOWN, BLANK], [wrong, KNOWN, wrong], TOLERANCE)

    assert [line.split(":")[0] for line in found] == ["golden example 0", "golden example 2"]


def test_a_replay_with_fewer_answers_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        differences([KNOWN, BLANK], [KNOWN], TOLERANCE)


def damaged(content: bytes) -> list[bytes]:
    first, second = content.splitlines(keepends=True)
    return [
        b"",
        b"\n",
        first + b"\n" + second,
        first[:-2] + b"\n" + second,
        first + second[:-2],
        first + second + b"{}\n",
        first + second + b"\xff\n",
        first.replace(b'"reason"', b'"cause"'),
        first.replace(b"below_threshold", b"audit"),
        first.replace(b'"ids":[2,7,3]', b'"ids":[2,7.5,3]'),
        first.replace(b"}", b',"extra":1}'),
        b"null\n",
    ]


@pytest.mark.parametrize("row", range(12))
def test_a_file_that_is_no_list_of_golden_examples_is_refused(tmp_path: Path, row: int) -> None:
    path = tmp_path / "golden.jsonl"
    write_golden(path, [KNOWN, BLANK])
    path.write_bytes(damaged(path.read_bytes())[row])

    with pytest.raises(BundleCorruptError, match=r"golden\.jsonl is no file of golden examples"):
        read_golden(path)


def test_a_last_line_without_its_end_is_read_and_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "golden.jsonl"
    write_golden(path, [KNOWN, BLANK])
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))

    assert read_golden(path) == [KNOWN, BLANK]


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BundleCorruptError, match="absent"):
        read_golden(tmp_path / "absent")

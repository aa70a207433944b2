import argparse

import pytest

from export.index_options import add_index
from service.contract.retriever_record import Family


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_index(parser)
    return parser.parse_args(words)


def test_by_default_the_index_is_chosen_without_a_limit() -> None:
    assert vars(parsed()) == {"index": "auto", "recall": 0.99, "index_memory": None}


@pytest.mark.parametrize("family", Family)
def test_every_family_can_be_asked_for(family: Family) -> None:
    assert parsed("--index", family.value).index is family


def test_recall_is_a_share_and_memory_is_in_gigabytes() -> None:
    found = parsed("--recall", "1", "--index-memory", "1.5", "--index", "auto")

    assert (found.recall, found.index_memory, found.index) == (1.0, 1_500_000_000, "auto")


@pytest.mark.parametrize(
    "words",
    [
        ("--index", "IVF"),
        ("--index", ""),
        ("--recall", "0"),
        ("--recall", "1.01"),
        ("--recall", "99%"),
        ("--recall", "nan"),
        ("--index-memory", "0"),
        ("--index-memory", "-1"),
        ("--index-memory", "inf"),
        ("--index-memory", "2GB"),
    ],
)
def test_anything_else_is_wrong_usage(
    words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parsed(*words)

    assert stopped.value.code == 2
    assert words[0] in capsys.readouterr().err

import argparse

import pytest

from export.encoder_variants.exported import Precision
from export.options import PRECISIONS, STANDARD_TARGETS, add_build_options
from training.metrics import COVERAGE_PRECISIONS


def further_targets(*words: str) -> list[float] | None:
    parser = argparse.ArgumentParser()
    add_build_options(parser)
    needed = ("--checkpoint", "c", "--data", "d", "--out", "b")
    return parser.parse_args([*needed, *words]).further_targets


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        ((), None),
        (("--further-targets", "none"), []),
        (("--further-targets", "0.9"), [0.9]),
        (("--further-targets", "0.90,0.98"), [0.9, 0.98]),
        (("--further-targets", "0.90, 0.98"), [0.9, 0.98]),
        (("--further-targets", "0.9", "--further-targets", "0.98,0.99"), [0.9, 0.98, 0.99]),
    ],
)
def test_further_targets_are_a_list_that_may_be_repeated_or_empty(
    words: tuple[str, ...], targets: list[float] | None
) -> None:
    assert further_targets(*words) == targets


def test_two_builds_of_one_process_do_not_share_their_targets() -> None:
    further_targets("--further-targets", "0.9")

    assert further_targets("--further-targets", "0.98") == [0.98]


@pytest.mark.parametrize("words", ["90", "0.9,1", "0.9,", "", "0.9;0.98", "None"])
def test_a_further_target_that_is_no_share_is_wrong_usage(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        further_targets("--further-targets", words)

    assert leaving.value.code == 2
    assert "is not between 0 and 1" in capsys.readouterr().err


def test_a_bundle_promises_what_the_tables_show_the_oracle_of() -> None:
    assert tuple(COVERAGE_PRECISIONS) == STANDARD_TARGETS


@pytest.mark.parametrize("words", [(), ("--precision", "int8"), ("--precision", "auto")])
def test_the_precision_is_fp32_unless_it_is_asked_for(words: tuple[str, ...]) -> None:
    parser = argparse.ArgumentParser()
    add_build_options(parser)
    needed = ("--checkpoint", "c", "--data", "d", "--out", "b")

    assert parser.parse_args([*needed, *words]).precision == (words[1] if words else "fp32")


def test_the_options_name_every_precision_there_is() -> None:
    assert list(PRECISIONS) == [precision.value for precision in Precision]


@pytest.mark.parametrize("words", ["int4", "FP32", ""])
def test_an_unknown_precision_is_wrong_usage(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        further_targets("--precision", words)

    assert leaving.value.code == 2
    assert "--precision" in capsys.readouterr().err

import re
import stat
from pathlib import Path

import pytest

from service.access.keys import Scope, digest_of
from service.access.keys_file import parse_keys
from service.new_key import main
from tests.command_line import must_run, run_module

KEY = re.compile(r"sm_[A-Za-z0-9_-]{43}")
SHOP = ["--name", "shop", "--scopes", "recommend,review"]


def keys_in(text: str) -> list[str]:
    return KEY.findall(text)


def test_a_key_is_shown_once_beside_an_entry_that_lets_it_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(SHOP) == 0

    shown = capsys.readouterr()
    (secret,) = keys_in(shown.out)
    entry = shown.out[shown.out.index("[[key]]") :]
    key = parse_keys(entry.encode(), source="the entry").find(secret)
    assert key is not None
    assert (key.name, key.scopes) == ("shop", {Scope.RECOMMEND, Scope.REVIEW})
    assert shown.err == ""


def test_every_option_reaches_the_entry(capsys: pytest.CaptureFixture[str]) -> None:
    options = {
        "--target-precision": "0.98",
        "--queries-per-second": "50",
        "--burst": "100",
        "--expires": "2027-01-31",
    }

    assert main([*SHOP, *(word for pair in options.items() for word in pair)]) == 0

    entry = capsys.readouterr().out.partition("[[key]]\n")[2]
    assert entry.splitlines()[2:] == [
        'scopes = ["recommend", "review"]',
        "target_precision = 0.98",
        "queries_per_second = 50.0",
        "burst = 100",
        "expires = 2027-01-31T00:00:00+00:00",
    ]


@pytest.mark.parametrize("moment", ["2027-01-31T18:00:00Z", "2027-01-31T20:00:00+02:00"])
def test_a_key_can_end_at_any_moment(moment: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHOP, "--expires", moment]) == 0

    entry = capsys.readouterr().out.partition("[[key]]")
    (key,) = parse_keys("".join(entry[1:]).encode(), source="it").keys
    assert key.expires is not None
    assert key.expires.timestamp() == 1801418400.0


def test_no_two_keys_are_alike(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(20):
        main(SHOP)

    assert len(set(keys_in(capsys.readouterr().out))) == 20


def test_a_key_that_is_appended_is_printed_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.toml"

    assert main([*SHOP, "--append", str(path)]) == 0
    first = capsys.readouterr().out
    assert main(["--name", "chief", "--scopes", "admin", "--append", str(path)]) == 0
    second = capsys.readouterr().out

    ring = parse_keys(path.read_bytes(), source="it")
    found = [ring.find(first.strip()), ring.find(second.strip())]
    assert [key and key.name for key in found] == ["shop", "chief"]
    assert KEY.fullmatch(first.removesuffix("\n"))
    assert first.strip() not in path.read_text()
    assert digest_of(first.strip()) in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_that_is_taken_is_one_line_and_code_1_and_no_key_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.toml"
    main([*SHOP, "--append", str(path)])
    capsys.readouterr()
    before = path.read_bytes()

    assert main([*SHOP, "--append", str(path)]) == 1

    shown = capsys.readouterr()
    assert path.read_bytes() == before
    assert shown.out == ""
    assert shown.err == (
        f"error: {path} has a key named shop; choose another name, such as shop-2\n"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--name", "", "--scopes", "admin"], "error: the new key: name must be 1 to 64"),
        (["--name", "a\nb", "--scopes", "admin"], "error: the new key: name must be 1 to 64"),
        (["--name", "shop", "--scopes", ""], "error: the new key: scopes must be one or more of"),
        (["--name", "shop", "--scopes", "all"], "error: the new key: scopes must be one or more"),
        ([*SHOP, "--target-precision", "98"], "error: the new key: target_precision must be"),
        ([*SHOP, "--queries-per-second", "0"], "error: the new key: queries_per_second must be"),
        ([*SHOP, "--burst", "5"], "error: the new key: burst must be a whole number"),
        ([*SHOP, "--expires", "2027-01-31T18:00"], "error: the new key: expires must be a date"),
    ],
)
def test_a_wrong_value_is_one_line_and_code_2_and_no_key_is_made(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--append", str(tmp_path / "keys.toml")]) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(complaint)
    assert shown.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--name", "shop"],
        ["--scopes", "admin"],
        [*SHOP, "--target-precision", "high"],
        [*SHOP, "--burst", "1.5"],
        [*SHOP, "--expires", "tomorrow"],
        [*SHOP, "--exp", "2027-01-31"],
    ],
)
def test_a_malformed_command_line_is_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)

    assert end.value.code == 2
    assert capsys.readouterr().out == ""


def test_the_command_runs_as_a_module_and_explains_itself(tmp_path: Path) -> None:
    key = must_run("service.new_key", *SHOP, "--append", tmp_path / "keys.toml")
    taken = run_module("service.new_key", *SHOP, "--append", tmp_path / "keys.toml")
    explained = must_run("service.new_key", "--help")

    assert KEY.fullmatch(key.strip())
    assert (taken.returncode, taken.stdout) == (1, "")
    for word in (
        "--name",
        "--scopes",
        "--append",
        "SUREMATCH_KEYS_FILE",
        "recommend, review, products, admin",
    ):
        assert word in " ".join(explained.split())

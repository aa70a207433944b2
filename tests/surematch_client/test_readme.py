"""The README of the client against the client."""

import re
from pathlib import Path

import pytest
import surematch_client
from surematch_client import Retries

from tests.surematch_client.scripted_server import recommendations, serving

README = (Path(__file__).parents[2] / "client" / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"


def test_there_is_a_program_for_each_client() -> None:
    assert ["AsyncClient(" in program for program in PROGRAMS] == [False, True]


@pytest.mark.parametrize("program", PROGRAMS, ids=["sync", "async"])
def test_a_program_of_the_readme_runs(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ADDRESS in program

    with serving(recommendations) as server:
        exec(program.replace(ADDRESS, server.address), {})  # noqa: S102  # our own words

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] in {
        "offer-1 sony wh1000xm4 headphones blk",
        "None auto_accepted b-1",
    }
    assert len(lines) in {2, 1002}


def test_every_error_the_readme_names_is_there() -> None:
    named = set(re.findall(r"`(\w+Error)`", README))

    assert named <= set(surematch_client.__all__)
    assert len(named) > 10


def test_the_defaults_in_the_readme_are_the_defaults() -> None:
    found = re.search(
        r"Retries\(attempts=(\d+), first_wait_\w+=([\d.]+), max_wait_\w+=(\d+)", README
    )

    assert found
    assert Retries(int(found[1]), float(found[2]), float(found[3])) == Retries()

import logging
from collections.abc import Generator
from pathlib import Path

import pytest

from service.command import main
from service.server import listen


@pytest.fixture(autouse=True)
def keep_logging() -> Generator[None]:
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn")
    handlers, level, uvicorn_level = root.handlers[:], root.level, uvicorn.level
    root.handlers = []
    yield
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    root.setLevel(level)
    uvicorn.setLevel(uvicorn_level)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "error: no bundle is named; give --bundle BUNDLE or set SUREMATCH_BUNDLE\n"),
        (["--bundle", "b", "--port", "http"], "error: --port: "),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2

    said = capsys.readouterr().err
    assert said.startswith(complaint)
    assert said.count("\n") == 1


def test_an_unknown_variable_is_one_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUREMATCH_THRESHOLD", "0.1")

    assert main(["--bundle", "b"]) == 2
    assert capsys.readouterr().err.startswith("error: SUREMATCH_THRESHOLD is no setting")


def test_two_builds_of_a_library_are_one_line_and_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "service.command.installed_packages", lambda: {"faiss-cpu", "faiss-gpu-cuvs"}
    )

    assert main(["--bundle", str(tmp_path), "--port", "0"]) == 1

    said = capsys.readouterr().err
    assert said.startswith("error: faiss-cpu and faiss-gpu-cuvs are installed side by side")
    assert said.count("\n") == 1


def test_a_taken_port_is_one_line_and_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with listen("127.0.0.1", 0) as first:
        port = str(first.getsockname()[1])

        assert main(["--bundle", str(tmp_path), "--port", port]) == 1

    said = capsys.readouterr().err
    assert said.startswith(f"error: cannot listen on 127.0.0.1 port {port}")
    assert said.count("\n") == 1


def test_a_bad_bundle_is_code_1_and_the_last_line_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--bundle", str(tmp_path), "--port", "0"]) == 1

    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(
        f"error: no bundle in {tmp_path}: it has neither a manifest.json nor a CURRENT"
    )

"""What the package is to those who install it."""

import inspect
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import surematch_client
from surematch_client import AsyncClient, Client

PROJECT = Path(__file__).parents[2] / "client"
PACKAGE = PROJECT / "surematch_client"
SOURCES = sorted(PACKAGE.rglob("*.py"))


def test_the_public_names_are_the_names_that_are_there() -> None:
    modules = {path.stem for path in SOURCES}
    there = {name for name in vars(surematch_client) if not name.startswith("_")} - modules

    assert surematch_client.__all__ == sorted(set(surematch_client.__all__))
    assert set(surematch_client.__all__) == (there - {"RELEASE"}) | {"__version__"}


def test_it_loads_nothing_of_the_service_and_none_of_its_libraries() -> None:
    program = "import sys, surematch_client; print(*sys.modules)"

    ran = subprocess.run(  # noqa: S603  # our own interpreter with our own words
        [sys.executable, "-c", program],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )

    loaded = {module.split(".")[0] for module in ran.stdout.split()}
    assert {"surematch_client", "httpx"} <= loaded
    assert not loaded & {"service", "training", "export", "fastapi", "starlette"}
    assert not loaded & {"numpy", "pydantic", "onnxruntime", "faiss", "tokenizers"}


def test_both_clients_offer_the_same_with_the_same_defaults() -> None:
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_"):
            twin = getattr(AsyncClient, name)
            assert inspect.signature(twin).parameters == inspect.signature(method).parameters

    names = [{name for name in vars(kind) if name[0] != "_"} for kind in (Client, AsyncClient)]
    assert names[0] == names[1]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_source_file_fits_in_the_head_and_says_what_it_owns(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()

    assert len(lines) <= 300
    assert lines[0].startswith('"""')
    assert path.stem not in sys.stdlib_module_names


@pytest.mark.slow
def test_the_wheel_holds_the_package_with_its_types_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]

    subprocess.run(  # noqa: S603  # pip with our own folder
        [*command, "--wheel-dir", str(tmp_path), str(PROJECT)], check=True, capture_output=True
    )

    (wheel,) = tmp_path.glob("*.whl")
    release = surematch_client.__version__
    files = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    package = {path for path in files if path.parts[0] == "surematch_client"}
    ours = {path.relative_to(PROJECT) for path in [*SOURCES, PACKAGE / "py.typed"]}
    assert wheel.name == f"surematch_client-{release}-py3-none-any.whl"
    assert package == ours
    assert {path.parts[0] for path in files - package} == {f"surematch_client-{release}.dist-info"}


def test_the_package_needs_httpx_and_nothing_else() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert [need.partition(">=")[0] for need in project["dependencies"]] == ["httpx"]

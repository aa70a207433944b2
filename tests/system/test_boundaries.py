"""What may stand where, and what may load what."""

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("service", "training", "export", "deploy")
SOURCES = sorted(path for name in PACKAGES for path in (REPOSITORY / name).rglob("*.py"))
ABOVE = {"export", "deploy"}
TESTS = REPOSITORY / "tests"
LONGEST_FILE = 300
NAMES_THAT_SAY_NOTHING = {"utils", "helpers", "common", "base", "misc", "util", "helper"}


def relative(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def modules_loaded_by(*names: str) -> set[str]:
    """The root names of all modules in a fresh process that imports ``names``."""
    program = f"import sys, {', '.join(names)}; print(*sys.modules)"
    ran = subprocess.run(  # noqa: S603  # our own interpreter with our own words
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return {module.split(".")[0] for module in ran.stdout.split()}


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, by its full name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_comes_from_this_repository(name: str) -> None:
    assert import_module(name).__file__ == str(REPOSITORY / name / "__init__.py")


def test_the_served_path_loads_no_training_framework_and_no_offline_code() -> None:
    loaded = modules_loaded_by("service.recommender")

    assert not loaded & {"torch", "transformers", "onnx", "scipy", "training", "export", "tests"}
    assert {"service", "faiss", "onnxruntime"} <= loaded


def test_the_contract_loads_nothing_of_the_served_path() -> None:
    contract = (REPOSITORY / "service" / "contract").glob("*.py")

    loaded = modules_loaded_by(*(f"service.contract.{path.stem}" for path in contract))

    assert not loaded & {"faiss", "onnxruntime", "pyarrow", "fastapi", "prometheus_client", "torch"}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_source_file_imports_no_test_and_no_command(path: Path) -> None:
    imported = imports_of(path)

    assert not [name for name in imported if "tests" in name.split(".") or "__main__" in name]


def test_only_what_stands_above_it_imports_export() -> None:
    offenders = {
        relative(path)
        for path in SOURCES
        for name in imports_of(path)
        if name.split(".")[0] == "export" and path.relative_to(REPOSITORY).parts[0] not in ABOVE
    }

    assert offenders == set()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_source_file_says_what_it_owns_in_its_first_line(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_bytes()))

    assert docstring
    assert docstring.splitlines()[0].endswith(".")


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_source_file_fits_in_the_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_source_file_has_a_name_that_says_something(path: Path) -> None:
    assert path.stem.strip("_") not in NAMES_THAT_SAY_NOTHING
    assert path.stem not in sys.stdlib_module_names


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name == "__init__.py"])
def test_a_folder_of_sources_is_a_package(path: Path) -> None:
    folders = {source.parent for source in SOURCES if source.is_relative_to(path.parent)}

    assert [relative(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_folder_of_tests_is_a_package() -> None:
    assert [relative(path) for path in TESTS.rglob("__init__.py")] == []


def test_a_test_of_one_file_stands_where_the_file_stands() -> None:
    mirrored = [path for name in PACKAGES for path in (TESTS / name).rglob("test_*.py")]
    folders = {path.parent.relative_to(TESTS) for path in mirrored}

    assert [folder for folder in folders if not (REPOSITORY / folder).is_dir()] == []


def test_onnx_runtime_reports_to_nobody() -> None:
    """With telemetry on, its import leaves a device id in the home folder or warns of a failure."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/proc/nobody", "XDG_CACHE_HOME": "/proc/no"}

    done = subprocess.run(
        [sys.executable, "-c", "import service.encoder"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""

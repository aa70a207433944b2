"""Rules that both Dockerfiles keep, read from their text."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {"service": ROOT / "Dockerfile", "training": ROOT / "deploy" / "training.Dockerfile"}
Instruction = tuple[str, str]


def instructions(path: Path) -> list[Instruction]:
    """Every instruction with its words, comments gone and continued lines joined."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    joined = "\n".join(lines).replace("\\\n", " ")
    words = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    return [(name, re.sub(r"\s+", " ", rest)) for name, rest in words]


def last_stage(path: Path) -> list[Instruction]:
    """The instructions of what is shipped."""
    found = instructions(path)
    begins = max(place for place, (name, _) in enumerate(found) if name == "FROM")
    return found[begins:]


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_the_last_user_is_a_number_that_is_not_root(path: Path) -> None:
    """A number, so that Kubernetes' runAsNonRoot can check it."""
    users = [words for name, words in last_stage(path) if name == "USER"]

    assert users
    assert users[-1].isdecimal()
    assert int(users[-1]) > 0


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_nothing_is_installed_in_the_stage_that_is_shipped(path: Path) -> None:
    runs = " ".join(words for name, words in last_stage(path) if name == "RUN")

    assert not re.search(r"\b(apt|apt-get|apk|pip|gcc|g\+\+|make|curl|wget)\b", runs), runs


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_every_stage_begins_with_the_base_that_can_be_chosen(path: Path) -> None:
    found = instructions(path)

    assert found[0][0] == "ARG"
    assert re.fullmatch(r"BASE_IMAGE=python:\d+\.\d+-slim-\w+", found[0][1])
    bases = [words.split()[0] for name, words in found if name == "FROM"]
    assert bases == ["${BASE_IMAGE}"] * 2


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_every_package_is_installed_at_its_pinned_version(path: Path) -> None:
    runs = " && ".join(words for name, words in instructions(path) if name == "RUN")
    installs = re.findall(r"pip install [^&]*", runs)

    assert installs
    for install in installs:
        assert re.search(r'--constraint "?constraints/(cpu|\$\{VARIANT\})\.txt', install), install
        assert "--no-cache-dir" in install


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_labels_say_what_an_image_is_and_where_it_came_from(path: Path) -> None:
    labels = " ".join(words for name, words in last_stage(path) if name == "LABEL")

    for label in (
        "title",
        "description",
        "licenses",
        "version",
        "revision",
        "created",
        "base.name",
    ):
        assert f"org.opencontainers.image.{label}=" in labels


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_no_processor_is_named(path: Path) -> None:
    text = " ".join(words for _, words in instructions(path))

    assert not re.search(r"amd64|arm64|x86_64|aarch64|--platform", text)


def test_the_service_is_asked_whether_it_is_ready_and_stopped_by_a_signal_it_knows() -> None:
    found = dict(last_stage(FILES["service"]))

    assert "/readyz" in found["HEALTHCHECK"]
    assert found["STOPSIGNAL"] == "SIGTERM"
    assert found["ENTRYPOINT"].startswith("[")  # exec form: signals reach the service itself


def test_the_service_image_has_no_code_but_the_service() -> None:
    copies = [words for name, words in last_stage(FILES["service"]) if name == "COPY"]

    assert copies == ["--from=packages /opt/venv /opt/venv", "service/ service/"]


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_what_is_copied_is_let_through_to_the_build(path: Path) -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    let_through = [line[1:].rstrip("*").rstrip("/") for line in lines if line.startswith("!")]
    copied = [words.split()[:-1] for name, words in instructions(path) if name == "COPY"]

    for source in (word for words in copied for word in words if "--from" not in words[0]):
        name = source.rstrip("/")
        assert any(name.startswith(one) or one.startswith(name) for one in let_through), source
        assert (ROOT / name).exists(), source


def test_the_gpu_variant_has_constraints_and_an_extra_of_its_name() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    for variant in ("cpu", "gpu"):
        assert (ROOT / "constraints" / f"{variant}.txt").is_file()
        assert re.search(rf"(?m)^{variant} = \[", project)

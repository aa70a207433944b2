"""What the README says is what the code does."""

import re
from pathlib import Path

from service.metrics import Metrics
from service.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVICE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")


def test_every_setting_is_documented_and_every_variable_there_is_a_setting() -> None:
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"SUREMATCH_[A-Z]+(?:_[A-Z]+)*", README + SERVICE))

    assert set(re.findall(r"(?m)^\| `(SUREMATCH_[A-Z_]+)` \|", SERVICE)) == settings
    assert named - {"SUREMATCH_DATA"} <= settings


def test_the_documented_defaults_are_those_of_the_code() -> None:
    rows = re.findall(r"(?m)^\| `SUREMATCH_([A-Z_]+)` \| ([^|]+) \|", SERVICE)

    for name, shown in rows:
        default = Settings.model_fields[name.lower()].get_default()
        if isinstance(default, int | float | str) and not isinstance(default, bool):
            assert str(default).removesuffix(".0") == shown, name


def test_every_metric_that_is_documented_exists() -> None:
    exposed = Metrics().render().decode()

    for name in set(re.findall(r"`(surematch_(?!client)[a-z_]+)", README + SERVICE)):
        assert f"# TYPE {name} " in exposed, name


def test_every_file_and_target_the_readme_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))

    for target in set(re.findall(r"(?m)(?:^|`(?:\w+=\w+ )?)make ([a-z-]+)", README)):
        assert target in targets, target
    for path in set(
        re.findall(r"`((?:service|training|export|tests|constraints|docs|deploy)/[^`]*)`", README)
    ):
        assert (ROOT / path).exists(), path

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.contract.errors import ConfigError
from service.settings import Settings, read_settings, variable


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def test_a_bundle_is_all_that_must_be_named() -> None:
    settings = read_settings(["--bundle", "b"])

    assert settings == Settings(bundle=Path("b"))


def test_the_defaults_are_safe_and_known() -> None:
    assert Settings(bundle=Path("b")).model_dump(mode="json") == {
        "bundle": "b",
        "wait_for_bundle": False,
        "host": "127.0.0.1",
        "port": 8000,
        "keys_file": None,
        "allow_anonymous": False,
        "bundle_root": None,
        "watch_seconds": 2.0,
        "changes_folder": None,
        "merge_products": 5000,
        "accept_new_products": False,
        "device": "cpu",
        "device_memory_mb": None,
        "workers": None,
        "batch_tokens": None,
        "interactive_queries": 8,
        "max_body_bytes": 4 * 1024 * 1024,
        "max_stream_bytes": 64 * 1024 * 1024,
        "max_streams": 8,
        "max_queries": 1000,
        "max_waiting": 1024,
        "max_interactive_tokens": 8192,
        "max_interactive_seconds": 0.5,
        "max_bulk_tokens": 131072,
        "deadline_seconds": 60.0,
        "cache_bytes": 64 * 1024 * 1024,
        "recall_probe_share": 0.001,
        "drain_seconds": 0.0,
        "shutdown_seconds": 30,
        "log_level": "info",
        "otlp_endpoint": None,
    }


VALUES = {
    "bundle": "b",
    "host": "::1",
    "log_level": "error",
    "allow_anonymous": "true",
    "accept_new_products": "true",
    "wait_for_bundle": "true",
    "device": "cuda",
    "recall_probe_share": "0.5",
}


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_is_a_flag_a_variable_and_in_the_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value = VALUES.get(name, "7")
    flag = f"--{name.replace('_', '-')}"
    others = [] if name == "bundle" else ["--bundle", "b"]

    from_flag = read_settings([flag, value, *others])
    monkeypatch.setenv(variable(name), value)
    from_variable = read_settings(others)
    with pytest.raises(SystemExit) as end:
        read_settings(["--help"])

    assert from_flag == from_variable
    assert str(getattr(from_flag, name)).removesuffix(".0").lower() == value
    assert end.value.code == 0
    help_text = capsys.readouterr().out
    assert flag in help_text
    assert variable(name) in help_text


def test_a_flag_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREMATCH_PORT", "1")
    monkeypatch.setenv("SUREMATCH_BUNDLE", "other")

    settings = read_settings(["--port", "2", "--bundle", "mine"])

    assert (settings.port, settings.bundle) == (2, Path("mine"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "65536"),
        ("port", "-1"),
        ("port", "http"),
        ("port", "80.5"),
        ("max_queries", "0"),
        ("max_body_bytes", "0"),
        ("workers", "0"),
        ("max_waiting", "0"),
        ("drain_seconds", "-0.1"),
        ("drain_seconds", "inf"),
        ("drain_seconds", "nan"),
        ("shutdown_seconds", "0"),
        ("log_level", "chatty"),
    ],
)
def test_an_invalid_value_is_an_error_that_names_where_it_came_from(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigError, match=f"^{flag}: ") as from_flag:
        read_settings(["--bundle", "b", f"{flag}={value}"])
    monkeypatch.setenv(variable(name), value)
    with pytest.raises(ConfigError, match=f"^{variable(name)}: ") as from_variable:
        read_settings(["--bundle", "b"])

    assert "\n" not in f"{from_flag.value}{from_variable.value}"


def test_several_workers_on_an_accelerator_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SUREMATCH_WORKERS", "2")

    with pytest.raises(ConfigError, match=r"WORKERS is 2 .*DEVICE=cuda.*leave it unset") as refused:
        read_settings(["--bundle", "b", "--device", "cuda"])

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("device", "workers"), [("cuda", None), ("cuda", 1), ("cpu", 2)])
def test_one_worker_feeds_an_accelerator_and_many_a_cpu(device: str, workers: int | None) -> None:
    more = [] if workers is None else [f"--workers={workers}"]

    assert read_settings(["--bundle", "b", "--device", device, *more]).workers == workers


def test_a_missing_bundle_is_an_error_that_says_how_to_name_one() -> None:
    with pytest.raises(ConfigError, match="give --bundle BUNDLE or set SUREMATCH_BUNDLE"):
        read_settings([])


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREMATCH_PORT", "")
    monkeypatch.setenv("SUREMATCH_BUNDLE", "")

    assert read_settings(["--bundle", "b"]).port == 8000
    with pytest.raises(ConfigError, match="no bundle is named"):
        read_settings([])


def test_an_unknown_variable_is_an_error_that_lists_the_known_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SUREMATCH_THRESHOLD", "0.5")

    with pytest.raises(ConfigError, match=r"SUREMATCH_THRESHOLD is no setting.*SUREMATCH_PORT"):
        read_settings(["--bundle", "b"])


def test_the_variable_of_the_test_suite_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREMATCH_DATA", "/somewhere")

    assert read_settings(["--bundle", "b"]).bundle == Path("b")


@pytest.mark.parametrize("arguments", [["--bundle", "b", "--threshold", "0.5"], ["--bund", "b"]])
def test_an_unknown_flag_is_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        read_settings(arguments)

    assert end.value.code == 2


def test_settings_never_change_once_read() -> None:
    settings = read_settings(["--bundle", "b"])

    with pytest.raises(ValidationError):
        settings.port = 1  # pyright: ignore[reportAttributeAccessIssue]  # what must fail

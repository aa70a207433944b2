"""deploy/secrets.sh: keys that the service takes, kept from other users of the machine."""

import subprocess
from pathlib import Path

from service.access.keys import Scope, digest_of
from service.access.keys_file import parse_keys

SCRIPT = Path(__file__).parents[2] / "deploy" / "secrets.sh"
SCOPES = {
    "traffic": {Scope.RECOMMEND},
    "you": {Scope.RECOMMEND, Scope.REVIEW},
    "admin": {Scope.ADMIN},
}
MOUNTED = {"keys.toml", "traffic-key", "grafana-password"}


def make(folder: Path) -> dict[str, bytes]:
    subprocess.run(["sh", SCRIPT, folder], check=True, timeout=60)  # noqa: S603, S607
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_service_takes_the_keys_file_and_each_key_has_its_scopes(tmp_path: Path) -> None:
    made = make(tmp_path / "stack")

    keys = {key.name: key for key in parse_keys(made["keys.toml"], source="keys.toml").keys}
    assert {name: set(key.scopes) for name, key in keys.items()} == SCOPES
    for name, file in (("traffic", "traffic-key"), ("you", "your-key"), ("admin", "admin-key")):
        assert keys[name].sha256 == digest_of(made[file].decode().strip())


def test_nobody_else_on_the_machine_gets_at_a_secret(tmp_path: Path) -> None:
    folder = tmp_path / "stack"

    names = make(folder).keys()

    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {name: (folder / name).stat().st_mode & 0o777 for name in names}
    assert modes == {name: 0o444 if name in MOUNTED else 0o600 for name in names}


def test_a_second_run_changes_nothing_and_a_second_folder_has_other_secrets(
    tmp_path: Path,
) -> None:
    first = make(tmp_path / "one")

    assert make(tmp_path / "one") == first
    second = make(tmp_path / "two")
    assert all(second[name] != content for name, content in first.items())


def test_a_run_that_was_cut_is_done_again_whole(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    make(folder)
    (folder / "keys.toml").unlink()

    made = make(folder)

    keys = parse_keys(made["keys.toml"], source="keys.toml").keys
    assert digest_of(made["traffic-key"].decode().strip()) in {key.sha256 for key in keys}

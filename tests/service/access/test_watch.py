import os
from pathlib import Path

import pytest

from service.access.door import Door, NoKeyError
from service.access.keys import ApiKey, Scope, digest_of
from service.access.keys_file import entry_of
from service.access.watch import KeysFile
from service.contract.errors import ConfigError


def entry(secret: str) -> str:
    scopes = frozenset({Scope.RECOMMEND})
    return entry_of(ApiKey(name=f"of {secret}", sha256=digest_of(f"sm_{secret}"), scopes=scopes))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(entry("old"))
    return path


def test_the_keys_are_those_of_the_file(path: Path) -> None:
    ring = KeysFile(path).read()

    assert [key.name for key in ring.keys] == ["of old"]


def test_a_file_has_changed_until_it_is_read_and_not_after(path: Path) -> None:
    keys_file = KeysFile(path)

    assert keys_file.changed()
    keys_file.read()
    assert not keys_file.changed()
    assert not keys_file.changed()


def test_a_key_that_is_added_is_a_change(path: Path) -> None:
    keys_file = KeysFile(path)
    keys_file.read()

    with path.open("a") as file:
        file.write(entry("new"))

    assert keys_file.changed()
    assert [key.name for key in keys_file.read().keys] == ["of old", "of new"]
    assert not keys_file.changed()


def test_a_file_put_in_its_place_is_a_change(path: Path, tmp_path: Path) -> None:
    keys_file = KeysFile(path)
    keys_file.read()
    before = path.stat()
    other = tmp_path / "other.toml"
    other.write_text(entry("new"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))

    other.replace(path)

    assert path.stat().st_size == before.st_size
    assert keys_file.changed()
    assert keys_file.read().find("sm_new") is not None


def test_a_link_that_leads_elsewhere_is_a_change(path: Path, tmp_path: Path) -> None:
    (tmp_path / "new.toml").write_text(entry("new"))
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    keys_file = KeysFile(link)
    keys_file.read()

    (tmp_path / "next.toml").symlink_to(tmp_path / "new.toml")
    (tmp_path / "next.toml").replace(link)

    assert keys_file.changed()
    assert keys_file.read().find("sm_new") is not None


@pytest.mark.parametrize("broken", ["", "[[key]]\nname = 3\n", "not toml"])
def test_a_wrong_file_raises_once_and_is_no_further_change(path: Path, broken: str) -> None:
    keys_file = KeysFile(path)
    keys_file.read()

    path.write_text(broken)

    assert keys_file.changed()
    with pytest.raises(ConfigError, match=r"keys\.toml"):
        keys_file.read()
    assert not keys_file.changed()
    path.write_text(entry("repaired"))
    assert keys_file.changed()
    assert keys_file.read().find("sm_repaired") is not None


def test_a_file_that_is_gone_raises_once_and_its_return_is_a_change(path: Path) -> None:
    keys_file = KeysFile(path)
    keys_file.read()
    path.rename(path.with_suffix(".away"))

    assert keys_file.changed()
    with pytest.raises(
        ConfigError, match=r"^the keys file .*keys\.toml cannot be read \(No such file"
    ):
        keys_file.read()
    assert not keys_file.changed()
    path.with_suffix(".away").rename(path)
    assert keys_file.changed()


def test_a_file_that_was_never_there_raises_and_its_coming_is_a_change(tmp_path: Path) -> None:
    keys_file = KeysFile(tmp_path / "keys.toml")

    assert keys_file.changed()
    with pytest.raises(ConfigError, match="cannot be read"):
        keys_file.read()
    assert not keys_file.changed()
    (tmp_path / "keys.toml").write_text(entry("new"))
    assert keys_file.changed()


def test_a_folder_is_no_keys_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        KeysFile(tmp_path).read()


def test_a_mode_that_changes_is_a_change(path: Path) -> None:
    # A file that could not be read is repaired by its mode, which leaves size and mtime alone.
    keys_file = KeysFile(path)
    path.chmod(0o400)
    keys_file.read()
    before = path.stat()

    while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of the file system is coarse
        path.chmod(0o600)

    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert keys_file.changed()


def test_a_key_is_rotated_without_a_moment_in_which_neither_opens(path: Path) -> None:
    keys_file = KeysFile(path)
    door = Door(keys_file.read())

    def opens(secret: str) -> bool:
        try:
            door.admit({"X-API-Key": f"sm_{secret}"}, Scope.RECOMMEND)
        except NoKeyError:
            return False
        return True

    before = opens("old"), opens("new")
    path.write_text(entry("old") + entry("new"))
    door.replace(keys_file.read())
    both = opens("old"), opens("new")
    path.write_text(entry("new"))
    door.replace(keys_file.read())
    after = opens("old"), opens("new")

    assert (before, both, after) == ((True, False), (True, True), (False, True))

"""The peers' pinned environments."""

import re
from pathlib import Path

import pytest

from tests.benchmarks.peer_systems import PEERS, PEERS_FOLDER, Peer, PeerError, install

ids = [peer.name for peer in PEERS]


@pytest.mark.parametrize("peer", PEERS, ids=ids)
def test_everything_a_peer_runs_on_is_pinned(peer: Peer) -> None:
    lines = peer.requirements.read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if not re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line)] == []


@pytest.mark.parametrize("peer", PEERS, ids=ids)
def test_the_versions_that_matter_are_recorded(peer: Peer) -> None:
    assert set(peer.record()["versions"]) == set(peer.packages)


@pytest.mark.parametrize("peer", PEERS, ids=ids)
def test_a_command_has_only_the_gaps_that_are_filled(peer: Peer) -> None:
    filled = peer.command.format(bin="/bin", weights="/weights", port=80)

    assert filled.startswith("/bin/")


def test_packages_that_several_peers_share_have_one_version() -> None:
    versions: dict[str, set[str]] = {"onnxruntime": set(), "orjson": set()}
    for name, found in versions.items():
        for file in PEERS_FOLDER.glob("*.txt"):
            found.update(re.findall(rf"^{name}==(.*)$", file.read_text(encoding="utf-8"), re.M))

    assert {name: len(found) for name, found in versions.items()} == {"onnxruntime": 1, "orjson": 1}


def test_an_environment_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    peer = PEERS[0]
    (tmp_path / peer.home).mkdir()
    mark = tmp_path / peer.home / "installed.txt"
    mark.write_text(peer.requirements.read_text(encoding="utf-8"), encoding="utf-8")

    install(peer, tmp_path, torch_index=None)

    assert list((tmp_path / peer.home).iterdir()) == [mark]


def test_an_environment_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(PeerError, match="failed"):
        install(PEERS[0], tmp_path / "file", torch_index=None)

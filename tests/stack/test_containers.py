"""How the containers run, as the engine tells it."""

import pytest

from tests.stack.conftest import STARTED
from tests.stack.engine import docker
from tests.stack.local_stack import Stack, wait_for

RUNNING = [name for name in STARTED if name != "bundle"]
WRITE = "import os, pathlib; print(os.getuid()); pathlib.Path('/app/new').write_text('x')"


@pytest.mark.parametrize("name", STARTED)
def test_a_container_is_read_only_and_without_capabilities(stack: Stack, name: str) -> None:
    host = stack.state(name)["HostConfig"]

    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert [option.split(":")[0] for option in host["SecurityOpt"]] == ["no-new-privileges"]


@pytest.mark.parametrize("name", RUNNING)
def test_no_process_of_a_container_is_roots(stack: Stack, name: str) -> None:
    lines = docker("top", stack.container(name), "-eo", "uid,pid").splitlines()[1:]
    users = {line.split()[0] for line in lines}

    assert users
    assert "0" not in users


def test_the_service_cannot_write_where_its_code_is(stack: Stack) -> None:
    with pytest.raises(AssertionError, match="Read-only file system"):
        docker("exec", stack.container("service"), "python", "-c", WRITE)


def test_the_service_cannot_change_the_bundle_that_it_answers_from(stack: Stack) -> None:
    with pytest.raises(AssertionError, match="Read-only file system"):
        docker(
            "exec", stack.container("service"), "python", "-c", WRITE.replace("/app", "/bundles")
        )


@pytest.mark.parametrize("name", RUNNING)
def test_a_container_gets_healthy(stack: Stack, name: str) -> None:
    wait_for(lambda: stack.state(name)["State"]["Health"]["Status"] == "healthy", name)


@pytest.mark.parametrize("name", RUNNING)
def test_a_port_is_published_to_this_machine_alone(stack: Stack, name: str) -> None:
    published = stack.state(name)["NetworkSettings"]["Ports"]

    hosts = {one["HostIp"] for found in published.values() if found for one in found}
    assert hosts == {"127.0.0.1"}


def test_a_volume_that_has_a_bundle_is_left_alone(stack: Stack) -> None:
    wait_for(lambda: stack.state("bundle")["State"]["Status"] == "exited", "the end of `bundle`")
    state = stack.state("bundle")

    assert state["State"]["ExitCode"] == 0
    assert "/bundles/demo is there and whole" in docker("logs", stack.container("bundle"))

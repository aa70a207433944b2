"""Both clients, by one name."""

import pytest

from tests.surematch_client.both_clients import Ask, ask_async, ask_sync


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Uses a synchronous client, then an asynchronous one."""
    return request.param

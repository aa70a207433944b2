"""An encoder session that waits at a gate, so that a test says when work comes to an end."""

import threading
from typing import Any

from service.encoder import Encoder

SECONDS = 20.0


class Gate:
    """Stands before a real session: runs wait until it is open, as it is at first.

    Attributes:
        open: lets runs through.
        begun: set once a run has come to the gate.
    """

    def __init__(self, session: Any) -> None:
        self.open = threading.Event()
        self.open.set()
        self.begun = threading.Event()
        self._session = session

    def run(self, outputs: Any, inputs: Any) -> Any:
        """Return what the session gives, once the gate is open."""
        self.begun.set()
        assert self.open.wait(SECONDS)
        return self._session.run(outputs, inputs)


def put_gate(encoder: Encoder) -> Gate:
    """Return a gate that every run of an encoder goes through from now on."""
    gate = Gate(vars(encoder)["_session"])
    vars(encoder)["_session"] = gate
    return gate

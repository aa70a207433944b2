"""The HTTP server of the process: one socket, a graceful stop, and the reason for a failed one."""

import asyncio
import gc
import math
import signal
import socket
import time
from types import FrameType
from typing import cast

import uvicorn

from service.app import create_app
from service.connection import Connection
from service.contract.errors import ConfigError
from service.listener import has_something_to_read, refuse_new_connections
from service.settings import Settings

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75  # longer than the idle time-out of common load balancers
HANDSHAKE_SECONDS = 0.1
"""How long a connection may take to come about that was begun before the socket is closed."""
LOOK_SECONDS = 0.02
"""How often connections are looked at when the service stops."""


class Server(uvicorn.Server):
    """Runs the app until a signal or a bad bundle stops it; requests in flight are finished.

    On a signal ``/readyz`` says 503 at once, requests are answered for ``drain_seconds`` more,
    then the socket is closed. A second signal ends the wait, a third the requests in flight.
    Every answer since the signal tells its client to use the connection no more, and only a
    connection that was quiet for a while is closed without one: a request that was sent gets its
    answer.

    Attributes:
        failure: why the bundle could not be opened; None if it could.
    """

    def __init__(self, settings: Settings) -> None:
        app = create_app(settings, on_failure=self._fail)
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                loop="uvloop",
                http=Connection,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=settings.shutdown_seconds,
            )
        )
        self.failure: Exception | None = None
        self._serving = app.state.serving
        self._drain_seconds = settings.drain_seconds
        self._shutdown_seconds = settings.shutdown_seconds
        self._stop_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Start to drain; unlike uvicorn's own handler this one lets the process exit with 0."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        wait = 0.0 if self._serving.is_draining else self._drain_seconds
        self._serving.is_draining = True
        self._stop_at = time.monotonic() + wait

    async def on_tick(self, counter: int) -> bool:
        """Return whether it is time to stop; asked ten times a second."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        if not gc.get_freeze_count() and self._serving.generation is not None:
            # what was imported and opened stays: looking through it at every full collection
            # would hold up all requests for a tenth of a second
            gc.collect()
            gc.freeze()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the socket, answer what was sent on every connection, and close those."""
        if self.failure is None:
            await self._take_last_connections(sockets or [])
            await self._let_connections_end()
        await super().shutdown(sockets)

    async def _take_last_connections(self, listeners: list[socket.socket]) -> None:
        """Accept every connection that was begun, then close the socket."""
        for listener in listeners:
            refuse_new_connections(listener)
        await asyncio.sleep(HANDSHAKE_SECONDS)
        for _ in range(BACKLOG):
            if not any(map(has_something_to_read, listeners)):
                break
            await asyncio.sleep(0)  # the event loop accepts one after another
        for server in self.servers:
            server.close()

    async def _let_connections_end(self) -> None:
        """Wait for answers under way, and close connections that have none and are quiet."""
        until = time.monotonic() + self._shutdown_seconds
        connections = cast("set[Connection]", self.server_state.connections)
        while connections and not self.force_exit and time.monotonic() < until:
            for connection in list(connections):
                connection.close_if_quiet()
            await asyncio.sleep(LOOK_SECONDS)
        self.config.timeout_graceful_shutdown = max(0, math.ceil(until - time.monotonic()))

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that already takes connections.

    Raises:
        ConfigError: if the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        message = f"cannot listen on {host} port {port} ({error.strerror}); name another one"
        raise ConfigError(message) from error

"""The HTTP server of the process: one socket, a graceful stop, and the reason for a failed one."""

import signal
import socket
import time
from types import FrameType

import uvicorn

from service.app import create_app
from service.contract.errors import ConfigError
from service.settings import Settings

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75  # longer than the idle time-out of common load balancers


class Server(uvicorn.Server):
    """Runs the app until a signal or a bad bundle stops it; requests in flight are finished.

    On a signal ``/readyz`` says 503 at once, requests are answered for ``drain_seconds`` more,
    then the socket is closed. A second signal ends the wait, a third the requests in flight.

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
                http="httptools",
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
        return await super().on_tick(counter)

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

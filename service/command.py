"""The command of the service: settings in, a server until a signal, an exit code out."""

import logging
import sys
from collections.abc import Sequence

from service.contract.errors import ConfigError, SurematchError
from service.logs import configure_logs
from service.packages import installed_packages, refuse_mixed_packages
from service.server import Server, listen
from service.settings import read_settings

FAILED = 1
WRONG_USAGE = 2

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal, and return the exit code: 0, 1 for a failure, 2 for wrong usage."""
    try:
        settings = read_settings(arguments)
    except ConfigError as error:
        return _complain(error, WRONG_USAGE)
    configure_logs(settings.log_level)
    try:
        refuse_mixed_packages(installed_packages())
    except ConfigError as error:
        return _complain(error, FAILED)
    try:
        server = Server(settings)  # before anybody can connect: others may not get in without keys
    except ConfigError as error:
        return _complain(error, WRONG_USAGE)
    try:
        listener = listen(settings.host, settings.port)
    except ConfigError as error:
        return _complain(error, FAILED)
    address, port = listener.getsockname()[:2]
    logger.info("listening", extra={"host": address, "port": port})
    server.run(sockets=[listener])
    if server.failure is not None:
        return _complain(server.failure, FAILED)
    logger.info("stopped")
    return 0


def _complain(error: Exception, code: int) -> int:
    is_ours = isinstance(error, SurematchError)
    what = str(error) if is_ours else f"{type(error).__name__} {error}"
    sys.stderr.write(f"error: {' '.join(what.split())}\n")
    return code

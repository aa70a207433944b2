"""Safe defaults: what a caller may do where no keys file says who is who."""

import ipaddress

from service.access.keys import Scope
from service.contract.errors import ConfigError


def anonymous_scopes(host: str, *, allow_anonymous: bool) -> frozenset[Scope]:
    """Return what anybody may do with a service that has no keys file and listens on ``host``.

    On a loopback address only this machine can ask, and may do everything. Elsewhere nobody may do
    anything unless that is allowed in so many words, and then only ask for recommendations.

    Raises:
        ConfigError: if others can reach the address and nothing says that they may.
    """
    if is_loopback(host):
        return frozenset(Scope)
    if allow_anonymous:
        return frozenset({Scope.RECOMMEND})
    message = (
        f"{host or 'every address'} can be reached from other machines and no API keys are set; "
        "set SUREMATCH_KEYS_FILE to a keys file, or SUREMATCH_ALLOW_ANONYMOUS=true to let "
        "anybody ask for recommendations"
    )
    raise ConfigError(message)


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name: who can reach it is not known
        return False

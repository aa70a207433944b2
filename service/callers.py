"""Who may call this process: the keys file read, watched, and held against the bundle."""

import logging

from service.access.door import Door
from service.access.exposure import anonymous_scopes
from service.access.keys import KeyRing
from service.access.watch import KeysFile
from service.contract.errors import ConfigError
from service.contract.manifest import Manifest
from service.settings import Settings

logger = logging.getLogger(__name__)


class Callers:
    """The keys of the moment.

    Attributes:
        door: lets requests in.
    """

    def __init__(self, settings: Settings) -> None:
        """Read the keys file, or find out what anybody may do where there is none.

        Raises:
            ConfigError: if the file is wrong, or others can reach a service without keys.
        """
        self._file = None if settings.keys_file is None else KeysFile(settings.keys_file)
        self._ring = None if self._file is None else self._file.read()
        if self._ring is None:
            scopes = anonymous_scopes(settings.host, allow_anonymous=settings.allow_anonymous)
            self.door = Door(None, scopes)
        else:
            self.door = Door(self._ring)

    def missing_from(self, manifest: Manifest) -> str | None:
        """Return which key needs an operating point that a bundle lacks, or None."""
        return _missing(self._ring, manifest)

    def look(self, manifest: Manifest | None) -> None:
        """Take over the keys file if it changed; a wrong one is said once and changes nothing.

        Args:
            manifest: of the bundle that answers, which must have what the keys ask for.
        """
        if self._file is None or not self._file.changed():
            return
        try:
            ring = self._file.read()
        except ConfigError as error:
            self._refuse(str(error))
            return
        if manifest is not None and (reason := _missing(ring, manifest)):
            self._refuse(reason)
            return
        self._ring = ring
        self.door.replace(ring)
        logger.info("keys taken over", extra={"keys": len(ring.keys)})

    def _refuse(self, reason: str) -> None:
        logger.error("keys not taken over, the old ones hold", extra={"reason": reason})


def _missing(ring: KeyRing | None, manifest: Manifest) -> str | None:
    for key in () if ring is None else ring.keys:
        wanted = key.target_precision
        if wanted is not None and wanted not in manifest.target_precisions:
            have = ", ".join(str(target) for target in manifest.target_precisions)
            return (
                f"key {key.name} needs the operating point {wanted} and bundle "
                f"{manifest.bundle_id} has {have}; build the bundle with it or change the key"
            )
    return None

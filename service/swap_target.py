"""Which folder a request for another bundle means; only those of one folder can be named."""

from pathlib import Path

from service.bodies import invalid_request
from service.contract.errors import BundleError
from service.contract.pointer import CURRENT, resolve_bundle
from service.live.outcomes import RefusedError
from service.problems import FieldError
from service.settings import Settings


def bundle_root(settings: Settings) -> Path:
    """Return the folder whose bundles may be served: the one set, or around the first bundle."""
    if settings.bundle_root is not None:
        return settings.bundle_root
    return settings.bundle if (settings.bundle / CURRENT).exists() else settings.bundle.parent


def swap_target(name: str | None, settings: Settings) -> Path:
    """Return the bundle that a name or path means; None is what the service was started with.

    Raises:
        ProblemError: 422 if it lies outside the folder of bundles.
        RefusedError: if it is no bundle.
    """
    try:
        return resolve_bundle(settings.bundle if name is None else _inside_root(name, settings))
    except BundleError as error:
        raise RefusedError(str(error)) from error


def _inside_root(name: str, settings: Settings) -> Path:
    root = bundle_root(settings).resolve()
    try:
        path = (root / name).resolve()
        is_inside = path.is_relative_to(root) and path != root
    except (OSError, ValueError):  # a name with a null byte, or endless links
        is_inside, path = False, root
    if not is_inside:
        what = "must name a folder inside the folder of bundles (setting bundle_root)"
        raise invalid_request([FieldError(where="bundle", what=what)])
    return path

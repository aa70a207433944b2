"""The builds of ONNX Runtime and FAISS that are installed: one of each, or none may be trusted."""

from collections.abc import Collection
from importlib.metadata import distributions

from service.contract.errors import ConfigError

ONE_OF = (
    ("onnxruntime", "onnxruntime-gpu"),
    ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs", "faiss-gpu-cu12"),
)
"""Packages that write the same files: of two that are installed, neither is whole."""


def installed_packages() -> frozenset[str]:
    """Return the names of the packages in this environment, as PyPI spells them."""
    names = (package.metadata["Name"] for package in distributions())
    return frozenset(name.lower().replace("_", "-") for name in names if name)


def refuse_mixed_packages(installed: Collection[str]) -> None:
    """Check that no two builds of one library share the environment.

    Args:
        installed: names as of `installed_packages`.

    Raises:
        ConfigError: if they do; the message names them.
    """
    for builds in ONE_OF:
        found = [name for name in builds if name in installed]
        if len(found) > 1:
            message = (
                f"{' and '.join(found)} are installed side by side and have overwritten each "
                "other's files; make a new environment with one of the extras cpu and gpu, "
                "never both"
            )
            raise ConfigError(message)

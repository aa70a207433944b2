"""Which software a benchmark of the served path ran."""

from importlib.metadata import version

from training.checkpoint import current_commit

PACKAGES = ("onnxruntime", "faiss-cpu", "tokenizers", "numpy", "fastapi", "uvicorn", "uvloop")


def software() -> dict[str, str | None]:
    """Return the commit of this source tree and the versions of what the served path runs on."""
    return {"commit": current_commit(), **{name: version(name) for name in PACKAGES}}

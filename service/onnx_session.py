"""An ONNX Runtime session on the device that was asked for, and never on another one."""

import logging
import mmap
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from enum import StrEnum
from io import StringIO
from pathlib import Path

import numpy as np
import onnxruntime as ort

from service.contract.errors import BundleCorruptError, ConfigError

logger = logging.getLogger(__name__)


class Device(StrEnum):
    """Where the encoder runs."""

    CPU = "cpu"
    CUDA = "cuda"


_PROVIDERS = {
    Device.CPU: ["CPUExecutionProvider"],
    Device.CUDA: ["CUDAExecutionProvider", "CPUExecutionProvider"],
}
_SCALED_BY_BATCH = b"DynamicQuantize"
"""Begin of the operators whose scale comes from all numbers of a batch together."""


def open_session(
    path: Path, device: Device, *, memory_mb: int | None = None
) -> ort.InferenceSession:
    """Return a session whose every run uses one core, or one accelerator.

    Args:
        path: the ONNX file.
        device: where it runs.
        memory_mb: most memory of the accelerator, in MiB; None bounds it by nothing.

    Raises:
        ConfigError: if ``device`` is not to be had here.
        BundleCorruptError: if the file is no model.
    """
    wanted = _PROVIDERS[device]
    limits = [{}] * len(wanted) if memory_mb is None else _limits(wanted, memory_mb)
    if device is Device.CUDA:
        load_cuda_libraries()
    if wanted[0] not in ort.get_available_providers():
        raise ConfigError(_unavailable(device, f"it has only {ort.get_available_providers()}"))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(
            str(path), options, providers=wanted, provider_options=limits
        )
    except Exception as error:  # ONNX Runtime's errors share no public base class
        message = f"{path} is no model that ONNX Runtime opens ({error}); build the bundle again"
        raise BundleCorruptError(message) from error
    if session.get_providers()[0] != wanted[0]:
        raise ConfigError(_unavailable(device, f"it fell back to {session.get_providers()}"))
    return session


def load_cuda_libraries(runtime: object = ort) -> None:
    """Load CUDA and cuDNN from NVIDIA's packages for Python, where the system does not look.

    What is not found is logged, not raised: it may not be needed, and a session that needs it
    says so. Builds of ONNX Runtime that can't do this are left to the system's own libraries.

    Args:
        runtime: the module of ONNX Runtime.
    """
    preload = getattr(runtime, "preload_dlls", None)
    if preload is None:
        return
    with redirect_stdout(StringIO()) as said:  # it prints what it misses
        preload()
    if said.getvalue():
        logger.warning("libraries of CUDA not found", extra={"said": said.getvalue().strip()})


def _limits(providers: Sequence[str], memory_mb: int) -> list[dict[str, str]]:
    """Return the options of each provider; only an accelerator's memory is bounded."""
    bound = {
        "gpu_mem_limit": str(memory_mb * 1024 * 1024),
        "arena_extend_strategy": "kSameAsRequested",
    }
    return [bound if name.startswith("CUDA") else {} for name in providers]


def run_in_place(
    session: ort.InferenceSession, inputs: Mapping[str, np.ndarray], device: Device
) -> ort.OrtValue:
    """Return the embeddings of one run without moving them off the device.

    The run is over when this returns, so that another library may read the memory.

    Raises:
        Exception: whatever ONNX Runtime raises, or if the embeddings are not float32.
    """
    binding = session.io_binding()
    for name, numbers in inputs.items():
        binding.bind_cpu_input(name, numbers)
    binding.bind_output("embedding", str(device))
    session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    value: ort.OrtValue = binding.get_outputs()[0]
    if value.data_type() != "tensor(float)":
        message = f"the encoder gives {value.data_type()}, the index reads tensor(float)"
        raise TypeError(message)
    return value


def embedding_dim(path: Path, session: ort.InferenceSession) -> int:
    """Return the length of the embeddings that a session makes.

    Raises:
        BundleCorruptError: if it has no output ``embedding`` of one vector a text.
    """
    shapes = {output.name: output.shape for output in session.get_outputs()}
    shape = shapes.get("embedding", [])
    if len(shape) != 2 or not isinstance(shape[1], int):  # noqa: PLR2004  # text x dim
        message = (
            f"{path} has outputs {shapes}, not one `embedding` of fixed length a text; "
            "build the bundle again"
        )
        raise BundleCorruptError(message)
    return shape[1]


def is_scaled_by_batch(path: Path) -> bool:
    """Return whether a model quantises with scales that depend on all texts of a batch."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_SCALED_BY_BATCH) >= 0


def _unavailable(device: Device, found: str) -> str:
    return (
        f"the encoder should run on {device}, but ONNX Runtime cannot: {found}; install the extra "
        f"`gpu` on a machine with a driver, or set the device to {Device.CPU}"
    )

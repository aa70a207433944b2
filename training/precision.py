"""Which device and number format a run uses."""

import os
from dataclasses import dataclass

import torch

from service.contract.errors import ConfigError
from training.config import RunSection

_KERNELS_KEPT = "32"
"""Kernels oneDNN keeps compiled; its 1,024 cost a gigabyte over a run of varied text lengths,
and no speed was lost without them. Read once, before the first matrix product."""


@dataclass(frozen=True)
class Machine:
    """Where a run computes: a device and the format of its matrix products.

    Attributes:
        device: ``cpu`` or ``cuda``.
        dtype: float32, or the half-width format that autocast uses.
    """

    device: torch.device
    dtype: torch.dtype

    @property
    def is_mixed(self) -> bool:
        """Return whether matrix products run in a half-width format."""
        return self.dtype is not torch.float32

    @property
    def scales_gradients(self) -> bool:
        """Return whether gradients need scaling to fit the format, as float16's do."""
        return self.dtype is torch.float16

    def __str__(self) -> str:
        return f"{self.device.type}, {str(self.dtype).removeprefix('torch.')}"


def choose_machine(run: RunSection) -> Machine:
    """Return the device and format for ``run``; ``auto`` takes the fastest that is there.

    Raises:
        ConfigError: if CUDA or float16 is asked for where there is none.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _KERNELS_KEPT)
    has_cuda = torch.cuda.is_available()
    if run.device == "cuda" and not has_cuda:
        message = "run.device is cuda but torch sees no CUDA device; set it to auto or cpu"
        raise ConfigError(message)
    device = "cuda" if has_cuda and run.device != "cpu" else "cpu"
    if run.precision == "float16" and device == "cpu":
        message = "run.precision float16 needs CUDA; set it to auto, float32 or bfloat16"
        raise ConfigError(message)
    formats = {
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
    }
    dtype = formats.get(run.precision) or (_best_on_cuda() if device == "cuda" else _best_on_cpu())
    place = torch.device(device, int(os.environ.get("LOCAL_RANK", "0"))) if has_cuda else None
    if place is not None and device == "cuda":
        torch.cuda.set_device(place)  # torchrun gives each process of a machine its own
        return Machine(place, dtype)
    return Machine(torch.device(device), dtype)


def _best_on_cuda() -> torch.dtype:
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _best_on_cpu() -> torch.dtype:
    """Return bfloat16 where the CPU multiplies it in hardware, else float32."""
    in_hardware = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]  # there is no public way to ask
    return torch.bfloat16 if in_hardware else torch.float32

"""The processes that train one encoder together, as `torchrun` starts them; usually just one."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from service.contract.errors import ConfigError

_PATIENCE = timedelta(hours=6)
"""How long the others wait while the main process validates or writes."""


@dataclass(frozen=True)
class Ranks:
    """One process among those of a run; every one holds all weights and computes the same loss.

    Attributes:
        rank: number of this process.
        world: how many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def is_main(self) -> bool:
        """Return whether this is the process that writes files and speaks."""
        return self.rank == 0

    def owns(self, number: int) -> bool:
        """Return whether the piece of work with this number is this process's."""
        return number % self.world == self.rank

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.world > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def agree(self, tensor: Tensor) -> Tensor:
        """Return what the main process holds, in place of what this one computed."""
        if self.world > 1:
            dist.broadcast(tensor, src=0)
        return tensor

    def any(self, flag: bool) -> bool:
        """Return whether any process says so."""
        if self.world == 1:
            return flag
        said = torch.tensor([float(flag)])
        if dist.get_backend() == "nccl":
            said = said.cuda()
        dist.all_reduce(said)
        return bool(said.item() > 0)

    def wait(self) -> None:
        """Return once every process has come this far."""
        self.any(False)


def join_ranks(device: torch.device) -> Ranks:
    """Join the processes that `torchrun` started, or return the only one.

    Raises:
        ConfigError: if its environment is there in part only, or the others do not come.
    """
    if "RANK" not in os.environ and "WORLD_SIZE" not in os.environ:
        return Ranks()
    if dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    except (ValueError, RuntimeError) as error:
        message = f"the processes of this run did not find each other ({error}); use torchrun"
        raise ConfigError(message) from error
    return Ranks(dist.get_rank(), dist.get_world_size())


def leave_ranks() -> None:
    """Part from the other processes, if there are any."""
    if dist.is_initialized():
        dist.destroy_process_group()

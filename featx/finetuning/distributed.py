"""What the processes that share each step tell each other.

torch.distributed alone: NCCL between GPUs, gloo between processes on the CPU. Accelerate and
Lightning Fabric wrap the same process group; what they add (sharded loaders, launchers,
checkpoints) does not fit here, where a step's images are a function of its number and a checkpoint
is one file. Gradients are added up in one call after the backward pass, not by
DistributedDataParallel during it: DDP wants the same parameters in every step and one forward of
one module, which gradual unfreezing, frozen stages played back and a step that is done again in
smaller parts are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from featx.types import FloatArray, IntArray

_NORMS = (nn.modules.batchnorm._BatchNorm,)


@dataclass(frozen=True)
class World:
    """The processes of one training, as one of them sees them; all of them call alike.

    Parameters
    ----------
    rank : int
        This process, from 0.
    size : int
        How many there are.
    device : str
        Of this process.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this is the one process that writes, asks and speaks."""
        return self.rank == 0

    def share(self, n: int) -> IntArray:
        """Which of ``n`` items are this process's: as many as any other's, or one less."""
        return np.array_split(np.arange(n), self.size)[self.rank]

    def add(self, *numbers: float) -> list[float]:
        """The sum of each number over all processes."""
        if self.size == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(sums)
        return [float(x) for x in sums]

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the sum of all processes' gradients, in one call."""
        if self.size == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        sums = torch.cat([g.reshape(-1) for g in grads])
        dist.all_reduce(sums)
        for p, g, part in zip(trained, grads, sums.split([g.numel() for g in grads]), strict=True):
            p.grad = g.copy_(part.view(g.shape))

    def average_statistics(self, module: nn.Module, share: float) -> None:
        """Give every process the average of what batch normalisation has seen, where it looks.

        Parameters
        ----------
        module : torch.nn.Module
        share : float
            This process's part of the batch; all processes' sum to 1.
        """
        if self.size == 1:
            return
        for norm in module.modules():
            if isinstance(norm, _NORMS) and norm.training:
                for seen in (norm.running_mean, norm.running_var):
                    if seen is not None:
                        dist.all_reduce(seen.mul_(share))

    def gather(self, own: FloatArray, n: int) -> FloatArray:
        """All ``n`` rows, of which each process has those of its `share`."""
        if self.size == 1:
            return own
        rows = torch.zeros((n, own.shape[1]), dtype=torch.float64, device=self.device)
        rows[torch.from_numpy(self.share(n))] = torch.from_numpy(own).to(self.device)
        dist.all_reduce(rows)
        return np.asarray(rows.cpu().numpy())

    def from_leader(self, text: str) -> str:
        """What process 0 says."""
        if self.size == 1:
            return text
        message = [text]
        dist.broadcast_object_list(message, src=0, device=torch.device(self.device))
        return message[0]


ALONE = World()

"""The reference engine: PyTorch, eager, in fixed zero-padded batches.

The kernels that multiply matrices depend on the size of the batch, so every batch has the same
size, the last one padded with black images. An image's embedding is then bit for bit the same
whatever its companions are; between different batch sizes fp32 embeddings differ by about 2e-6
of their largest value.

On the CPU each caller's batch runs on one thread, and there are as many callers as cores: it is
faster than one batch on all cores, and the numbers do not depend on how many cores there are.

On a GPU each slot has a stream and pinned buffers of its own (`featx.engines._transfer`); the slots
of one GPU share its weights.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch

from featx import console
from featx.engines._base import Embedder, check_batch, refuse_non_finite
from featx.engines._choice import EngineChoice
from featx.engines._transfer import Transfer, transfer_for
from featx.errors import BackboneError
from featx.types import Float32Array, UInt8Array

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_CAST = (torch.nn.Linear, torch.nn.modules.conv._ConvNd)


class _Replica:
    """The network on one device, with what normalises its input there."""

    def __init__(self, network: Any, backbone: Embedder, device: str) -> None:
        self.device = device
        self.network = network.to(device, memory_format=torch.channels_last)
        mean, std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1)
            for values in (backbone.preprocess.mean, backbone.preprocess.std)
        )
        self.scale, self.shift = 1 / (255 * std), mean / std


@dataclass(frozen=True)
class _Slot:
    """What serves one batch at a time: a network, which slots may share, and the way to it."""

    replica: _Replica
    transfer: Transfer


class TorchEngine:
    """Runs a backbone with PyTorch.

    Parameters
    ----------
    backbone : Embedder
        The network and its preprocessing.
    choice : EngineChoice
        What `featx.engines.choose` gave; ``device`` may name several GPUs, each of which gets a
        copy of the network. ``batch_size`` is halved, with a message, when memory runs out.
    """

    def __init__(self, backbone: Embedder, choice: EngineChoice) -> None:
        self.device = choice.device
        self.precision = choice.precision
        self.batch_size = choice.batch_size
        self.numerics = choice.numerics
        self.streams = choice.streams
        self.specs = choice.specs(backbone)
        self._backbone = backbone
        self._family = self.device.partition(":")[0]
        self._threads = torch.get_num_threads()
        if self._family == "cuda":  # for the whole process: several threads compute at once
            # cuDNN may choose another algorithm at every start, which rounds differently.
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cuda.matmul.allow_tf32 = False
        self._halving = threading.Lock()
        devices = self.device.split(",")
        # The backbone's own network stays as it is: the reference of a check may need it.
        spare = self.precision == "fp32" and self._family == "cpu"
        network = backbone.network if spare else copy.deepcopy(backbone.network)
        if self.precision != "fp32":
            _cast(network, _DTYPES[self.precision])
        networks = [network, *(copy.deepcopy(network) for _ in devices[1:])]
        replicas = [
            _Replica(network, backbone, device)
            for network, device in zip(networks, devices, strict=True)
        ]
        self._free: SimpleQueue[_Slot] = SimpleQueue()
        for i in range(self.streams):
            replica = replicas[i % len(replicas)]
            self._free.put(_Slot(replica, transfer_for(replica.device)))
        if self._family == "cuda":  # the slots' streams do not wait for the one that copied weights
            for device in devices:
                torch.cuda.synchronize(device)

    def embed(self, batch: UInt8Array) -> tuple[Float32Array, ...]:
        """Embed images; see `featx.engines.Engine.embed`."""
        check_batch(batch, self._backbone)
        parts: list[tuple[Float32Array, ...]] = []
        start = 0
        with self._slot() as slot:
            while start < len(batch):
                # Read once: another thread may halve it while this batch is computed.
                size = self.batch_size
                chunk = np.require(batch[start : start + size], requirements=["C", "W"])
                try:
                    parts.append(self._embed_chunk(chunk, size, slot))
                except RuntimeError as error:
                    if not is_out_of_memory(error):
                        raise
                    self._halve(size, error)
                else:
                    start += len(chunk)
        columns = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
        refuse_non_finite(columns, self._backbone, self.precision)
        return columns

    @contextmanager
    def _slot(self) -> Iterator[_Slot]:
        """A free slot; on the CPU, with one thread for what runs inside."""
        slot = self._free.get()
        try:
            if self._family == "cpu":
                torch.get_num_threads()  # a new thread takes the process's number at its first call
                torch.set_num_threads(1)
            yield slot
        finally:
            if self._family == "cpu":
                torch.set_num_threads(self._threads)
            self._free.put(slot)

    def _embed_chunk(self, chunk: UInt8Array, size: int, slot: _Slot) -> tuple[Float32Array, ...]:
        """Embed at most ``size`` images as one batch of exactly that size."""
        replica = slot.replica

        def network(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
            pixels = batch.permute(0, 3, 1, 2)
            x = pixels.to(torch.float32).mul_(replica.scale).sub_(replica.shift)
            with self._autocast():
                vectors: tuple[torch.Tensor, ...] = replica.network(x)
            return vectors

        with torch.inference_mode():
            return slot.transfer.run(chunk, size, network)

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self._family, _DTYPES[self.precision])

    def _halve(self, size: int, error: RuntimeError) -> None:
        if size == 1:
            height, width = self._backbone.preprocess.size_px
            raise BackboneError(
                f"Not even one image of {height} × {width} px fits into the "
                f"memory of {self.device} with {self._backbone.name}.",
                hint="Try a smaller backbone, --size, or --device cpu.",
            ) from error
        with self._halving:
            if self.batch_size == size:  # else another thread has met the same wall before
                self.batch_size = size // 2
                console.warn(
                    f"out of memory on {self.device}; going on in batches of {self.batch_size}."
                )
        if self._family == "cuda":
            torch.cuda.empty_cache()


def _cast(network: Any, dtype: torch.dtype) -> None:
    """Round the weights that autocast would round at every call, once: the same numbers."""
    for module in network.modules():
        if isinstance(module, _CAST):
            module.to(dtype)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory; the CPU's allocator has no error type of its own."""
    text = str(error).lower()
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(
        words in text for words in ("out of memory", "not enough memory", "can't allocate memory")
    )

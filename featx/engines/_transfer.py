"""How a batch gets to the device and its embeddings back: at once, or beside other batches.

A GPU computes while the next batch is copied to it only if both use streams of their own and the
copy starts from pinned memory, which costs milliseconds to allocate. So each slot of a GPU has one
stream and one pair of pinned buffers, which it uses for all its batches. Copies are asynchronous:
nothing touches a buffer before the stream has passed the copy that reads or writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch

from featx.types import Float32Array, UInt8Array

Run = Callable[[torch.Tensor], Sequence[torch.Tensor]]


class Transfer(Protocol):
    """Takes a batch to a device, runs the network there and brings the embeddings back."""

    def run(self, images: UInt8Array, size: int, network: Run) -> tuple[Float32Array, ...]:
        """Embed ``images`` as one batch of ``size``, padded with black images.

        Parameters
        ----------
        images : ndarray of uint8, shape (n, height, width, 3)
            At most ``size`` of them.
        size : int
            Images in the batch.
        network : callable
            From the batch on the device to one tensor of shape (size, n_features) per output.

        Returns
        -------
        tuple of ndarray of float32, shape (n, n_features)
            Memory of the caller's own.
        """


class DirectTransfer:
    """Copies and computes one after the other: the CPU, where nothing is copied, and Apple's GPU.

    Parameters
    ----------
    device : str
        Where the network is.
    """

    def __init__(self, device: str) -> None:
        self._device = device

    def run(self, images: UInt8Array, size: int, network: Run) -> tuple[Float32Array, ...]:
        """See `Transfer.run`."""
        batch = torch.from_numpy(images)
        if len(images) < size:
            padded = torch.zeros((size, *images.shape[1:]), dtype=torch.uint8)
            padded[: len(images)] = batch
            batch = padded
        vectors = network(batch.to(self._device))
        return tuple(v[: len(images)].float().cpu().numpy() for v in vectors)


class CudaStream:
    """One CUDA stream and the memory that goes with it: all that `PinnedTransfer` asks of CUDA.

    Parameters
    ----------
    device : str
        ``cuda`` or ``cuda:N``.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._stream: Any = torch.cuda.Stream(torch.device(device))

    def current(self) -> AbstractContextManager[Any]:
        """Inside, kernels of this thread go into this stream, on this device."""
        return torch.cuda.stream(self._stream)

    def pinned(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Host memory that the GPU copies to and from by itself."""
        return torch.empty(tuple(shape), dtype=dtype, pin_memory=True)

    def on_device(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Memory of the GPU."""
        return torch.empty(tuple(shape), dtype=dtype, device=self._device)

    def copy(self, target: torch.Tensor, source: torch.Tensor) -> None:
        """Begin a copy; returns at once."""
        target.copy_(source, non_blocking=True)

    def wait(self) -> None:
        """Return when everything in the stream has ended."""
        self._stream.synchronize()


class PinnedTransfer:
    """Copies both ways beside what other slots compute, with one synchronisation a batch.

    For one thread at a time.

    Parameters
    ----------
    stream : CudaStream
        Of this slot alone.
    """

    def __init__(self, stream: CudaStream) -> None:
        self._stream = stream
        self._size = 0
        self._sent = self._batch = torch.empty(0, dtype=torch.uint8)
        self._received: list[torch.Tensor] = []

    def run(self, images: UInt8Array, size: int, network: Run) -> tuple[Float32Array, ...]:
        """See `Transfer.run`."""
        stream, n = self._stream, len(images)
        try:
            with stream.current():
                if size != self._size:  # the first batch, or memory ran out
                    self._allocate(size, images.shape[1:])
                self._sent[:n] = torch.from_numpy(images)
                self._sent[n:] = 0
                stream.copy(self._batch, self._sent)
                vectors = [vector.float() for vector in network(self._batch)]
                if not self._received:
                    self._received = [stream.pinned(v.shape, v.dtype) for v in vectors]
                for target, vector in zip(self._received, vectors, strict=True):
                    stream.copy(target, vector)
        finally:
            stream.wait()  # also after an error: the next batch overwrites what copies still read
        return tuple(received[:n].numpy().copy() for received in self._received)

    def _allocate(self, size: int, shape: Sequence[int]) -> None:
        # The old ones go first: there may be no memory for both.
        self._size, self._received = 0, []
        self._sent = self._batch = torch.empty(0, dtype=torch.uint8)
        self._batch = self._stream.on_device((size, *shape), torch.uint8)
        self._sent = self._stream.pinned((size, *shape), torch.uint8)
        self._size = size


def transfer_for(device: str) -> Transfer:
    """What suits a device."""
    if device.startswith("cuda"):
        return PinnedTransfer(CudaStream(device))
    return DirectTransfer(device)

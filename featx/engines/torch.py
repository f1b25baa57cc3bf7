"""The reference engine: PyTorch, eager, in fixed zero-padded batches.

The kernels that multiply matrices depend on the size of the batch, so every batch has the same
size, the last one padded with black images. An image's embedding is then bit for bit the same
whatever its companions are; between different batch sizes fp32 embeddings differ by about 2e-6
of their largest value.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from featx import console
from featx.engines._base import Embedder
from featx.errors import BackboneError, UsageError
from featx.types import ExtractorSpec

__all__ = ["PLUGIN", "TorchEngine"]

_BATCH_SIZE = {"cpu": 16, "cuda": 256, "mps": 32}
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TorchEngine:
    """Runs a backbone with PyTorch.

    Parameters
    ----------
    backbone : Embedder
        The network and its preprocessing.
    device : str, default "auto"
        ``cuda``, ``cuda:N``, ``mps`` or ``cpu``; ``auto`` takes the first there is.
    precision : {"auto", "fp32", "bf16", "fp16"}
        ``auto`` is fp32, without TF32. The others run under autocast.
    batch_size : "auto" or int
        ``auto`` is 16 on the CPU, 32 on mps, 256 on cuda. Whatever it is, it is halved, and said
        so, when memory runs out.

    Raises
    ------
    UsageError
        The device is not on this machine, or does not do the precision.
    """

    def __init__(
        self,
        backbone: Embedder,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_size: Literal["auto"] | int = "auto",
    ) -> None:
        self.device = choose_device(device)
        family = self.device.partition(":")[0]
        self.precision = choose_precision(precision, self.device)
        if batch_size != "auto" and batch_size < 1:
            raise UsageError(f"Batch size {batch_size}; allowed are auto and 1 or more.")
        self.batch_size = _BATCH_SIZE[family] if batch_size == "auto" else batch_size
        self.numerics = {"engine": "torch", "device": family, "precision": self.precision}
        self.specs = tuple(
            ExtractorSpec({**output.document, "numerics": self.numerics})
            for output in backbone.outputs
        )
        self._name = backbone.name
        self._size_px = backbone.preprocess.size_px
        self._network = backbone.network.to(self.device, memory_format=torch.channels_last)
        mean, std = (
            torch.tensor(values, device=self.device).view(1, 3, 1, 1)
            for values in (backbone.preprocess.mean, backbone.preprocess.std)
        )
        self._scale, self._shift = 1 / (255 * std), mean / std

    def embed(self, batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        """Embed images; see `featx.engines.Engine.embed`."""
        self._check(batch)
        parts: list[tuple[NDArray[np.float32], ...]] = []
        start = 0
        while start < len(batch):
            chunk = batch[start : start + self.batch_size]
            try:
                parts.append(self._embed_chunk(chunk))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(error)
            else:
                start += len(chunk)
        columns = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
        self._refuse_non_finite(columns)
        return columns

    def _embed_chunk(self, chunk: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        """Embed at most ``batch_size`` images as one batch of exactly that size."""
        padded = np.zeros((self.batch_size, *self._size_px, 3), np.uint8)
        padded[: len(chunk)] = chunk
        with torch.inference_mode(), self._exact_kernels():
            pixels = torch.from_numpy(padded).to(self.device).permute(0, 3, 1, 2)
            x = pixels.to(torch.float32).mul_(self._scale).sub_(self._shift)
            with self._autocast():
                vectors = self._network(x)
            return tuple(v[: len(chunk)].float().cpu().numpy() for v in vectors)

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.partition(":")[0], _DTYPES[self.precision])

    def _exact_kernels(self) -> ExitStack:
        """On cuda, kernels that repeat bit for bit, and no TF32 behind fp32's back."""
        settings = ExitStack()
        if self.device.startswith("cuda"):
            settings.enter_context(
                torch.backends.cudnn.flags(
                    enabled=True, benchmark=False, deterministic=True, allow_tf32=False
                )
            )
            before = torch.backends.cuda.matmul.allow_tf32
            torch.backends.cuda.matmul.allow_tf32 = False
            settings.callback(setattr, torch.backends.cuda.matmul, "allow_tf32", before)
        return settings

    def _halve(self, error: RuntimeError) -> None:
        if self.batch_size == 1:
            raise BackboneError(
                f"Not even one image of {self._size_px[0]} × {self._size_px[1]} px fits into the "
                f"memory of {self.device} with {self._name}.",
                hint="Try a smaller backbone, --size, or --device cpu.",
            ) from error
        self.batch_size //= 2
        console.warn(f"out of memory on {self.device}; going on in batches of {self.batch_size}.")
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _check(self, batch: NDArray[np.uint8]) -> None:
        expected = (*self._size_px, 3)
        if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[1:] != expected:
            raise BackboneError(
                f"{self._name} takes uint8 images of shape (n, {expected[0]}, {expected[1]}, 3); "
                f"got {batch.dtype} {batch.shape}."
            )
        if len(batch) == 0:
            raise BackboneError(f"{self._name} was given no image.")

    def _refuse_non_finite(self, columns: tuple[NDArray[np.float32], ...]) -> None:
        for column in columns:
            bad = int((~np.isfinite(column)).any(axis=1).sum())
            if bad:
                hint = (
                    "Use --precision fp32 or bf16: fp16 overflows above 65504."
                    if self.precision == "fp16"
                    else "The weights or the layer are at fault; try another layer or weights."
                )
                raise BackboneError(
                    f"{self._name} gave NaN or infinity for {bad} of {len(column)} images.",
                    hint=hint,
                )


PLUGIN = TorchEngine


def choose_device(device: str) -> str:
    """The device to run on; refuses one that is not here.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    """
    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    here = [f"cuda:{i}" for i in range(n_cuda)]
    here = (["cuda", *here] if here else []) + (
        ["mps"] if torch.backends.mps.is_available() else []
    )
    here.append("cpu")
    if device == "auto":
        return here[0]
    if device not in here:
        raise UsageError(
            f"Device {device!r} is not on this machine; there are: auto, {', '.join(here)}.",
            hint="featx doctor lists devices and drivers.",
        )
    return device


def choose_precision(precision: str, device: str) -> str:
    """The precision to run in; refuses one that the device does badly or not at all.

    Parameters
    ----------
    precision : str
        ``auto`` (fp32), ``fp32``, ``bf16`` or ``fp16``.
    device : str
        What `choose_device` returned.
    """
    if precision in ("auto", "fp32"):
        return "fp32"
    if precision not in _DTYPES:
        raise UsageError(f"Precision {precision!r}; allowed are auto, fp32, bf16 and fp16.")
    if precision == "fp16" and device == "cpu":
        raise UsageError(
            "Precision 'fp16' on the CPU is slower than fp32 and overflows.",
            hint="Use --precision bf16 (or fp32).",
        )
    if precision == "bf16" and device == "mps":
        raise UsageError(
            "Precision 'bf16' is not supported by every mps device.",
            hint="Use --precision fp16 (or fp32).",
        )
    if precision == "bf16" and device.startswith("cuda"):
        major, minor = torch.cuda.get_device_capability(device)
        if major < 8:
            raise UsageError(
                f"Precision 'bf16' needs compute capability 8.0; {device} has {major}.{minor}.",
                hint="Use --precision fp16 (or fp32).",
            )
    return precision


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory; the CPU's allocator has no error type of its own."""
    text = str(error).lower()
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(
        words in text for words in ("out of memory", "not enough memory", "can't allocate memory")
    )

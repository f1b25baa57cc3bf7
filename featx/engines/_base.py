"""What an engine is, and what it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from featx.errors import BackboneError
from featx.registry import Registry, lacks
from featx.types import ExtractorSpec, Float32Array, Preprocess, UInt8Array

ENGINES = Registry(
    "featx.engines",
    str(Path(__file__).parent),
    "engine",
    fault=lambda name, plugin: lacks(plugin, "choose", "build"),
)

#: Small batches stay in the processor's caches; measured, 8 beats 32 and 64 on CPUs.
CPU_BATCH_SIZE = 8


class NetworkOutput(Protocol):
    """One embedding that an `Embedder` gives; `featx.backbones.BackboneOutput` is one."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def n_features(self) -> int:
        """Width."""

    @property
    def document(self) -> dict[str, Any]:
        """What changes the embedding, but for the numerics."""


class Embedder(Protocol):
    """What an engine runs; `featx.backbones.Backbone` is one."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def preprocess(self) -> Preprocess:
        """Size of the input, mean and standard deviation."""

    @property
    def network(self) -> Any:
        """From a normalised batch to a tuple of vectors; may take seconds to load."""

    @property
    def outputs(self) -> tuple[NetworkOutput, ...]:
        """In the order of the network's tuple."""


class Engine(Protocol):
    """Runs one network on one device.

    Attributes
    ----------
    device, precision : str
        Where, and in what numbers.
    batch_size : int
        Images that the network takes at once.
    streams : int
        Threads that may call `embed` at the same time, each served by resources of its own.
    numerics : dict
        ``engine``, ``device`` family and ``precision``: part of the fingerprint.
    specs : tuple of ExtractorSpec
        One per output.
    """

    device: str
    precision: str
    batch_size: int
    streams: int
    numerics: dict[str, str]
    specs: tuple[ExtractorSpec, ...]

    def embed(self, batch: UInt8Array) -> tuple[Float32Array, ...]:
        """Embed images; at most ``streams`` threads at once.

        Parameters
        ----------
        batch : ndarray of uint8, shape (n, height, width, 3)
            Preprocessed images, ``n >= 1`` of any size.

        Returns
        -------
        tuple of ndarray of float32, shape (n, n_features)
            One per output. Row i depends on image i only.

        Raises
        ------
        BackboneError
            Not even one image fits into memory, or the network gave NaN or infinity.
        """


def check_batch(batch: UInt8Array, backbone: Embedder) -> None:
    """Refuse what is not a batch of this backbone's input."""
    expected = (*backbone.preprocess.size_px, 3)
    if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[1:] != expected:
        raise BackboneError(
            f"{backbone.name} takes uint8 images of shape (n, {expected[0]}, {expected[1]}, 3); "
            f"got {batch.dtype} {batch.shape}."
        )
    if len(batch) == 0:
        raise BackboneError(f"{backbone.name} was given no image.")


def refuse_non_finite(
    columns: tuple[Float32Array, ...], backbone: Embedder, precision: str
) -> None:
    """Raise `BackboneError` where an embedding holds NaN or infinity."""
    for column in columns:
        bad = int((~np.isfinite(column)).any(axis=1).sum())
        if bad:
            hint = (
                "Use --precision fp32 or bf16: fp16 overflows above 65504."
                if precision == "fp16"
                else "The weights or the layer cause this; try another layer or other weights."
            )
            raise BackboneError(
                f"{backbone.name} gave NaN or infinity for {bad} of {len(column)} images.",
                hint=hint,
            )

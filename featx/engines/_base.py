"""What an engine is, and finding one by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from featx.registry import Registry
from featx.types import ExtractorSpec, Preprocess

__all__ = ["ENGINES", "Embedder", "Engine", "build_engine"]

ENGINES = Registry("featx.engines", str(Path(__file__).parent), "engine")


class Output(Protocol):
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
        """From a normalised batch to a tuple of vectors."""

    @property
    def outputs(self) -> tuple[Output, ...]:
        """In the order of the network's tuple."""


class Engine(Protocol):
    """Runs one network on one device."""

    device: str
    precision: str
    batch_size: int
    numerics: dict[str, Any]
    specs: tuple[ExtractorSpec, ...]

    def embed(self, batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        """Embed images.

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


def build_engine(
    name: str,
    backbone: Embedder,
    *,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16"] | str = "auto",
    batch_size: Literal["auto"] | int = "auto",
) -> Engine:
    """Build the engine ``name`` (``"auto"`` is torch) for ``backbone``.

    Raises
    ------
    UnknownNameError
        There is no such engine.
    UsageError
        The device is not on this machine, or does not do the precision.
    """
    engine: Engine = ENGINES.get("torch" if name == "auto" else name)(
        backbone, device=device, precision=precision, batch_size=batch_size
    )
    return engine

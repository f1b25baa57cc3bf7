"""Whether an engine's embeddings are those of the reference: torch in fp32 on the CPU."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from featx.engines._base import Engine
from featx.types import UInt8Array

#: Smallest cosine to the reference that each precision must reach on every image. Measured:
#: fp32 engines differ by rounding alone (1 - 1e-6 or better), bf16 gives 0.9997 or better.
TOLERANCE = {"fp32": 0.99999, "bf16": 0.999, "fp16": 0.999}


@dataclass(frozen=True)
class Agreement:
    """How far an engine is from the reference.

    Parameters
    ----------
    images : int
        Images it was measured on.
    cosine : float
        Smallest cosine between an image's two embeddings, over images and outputs.
    relative_error : float
        Largest Euclidean distance between them, divided by the reference's length.
    """

    images: int
    cosine: float
    relative_error: float

    def within(self, precision: str) -> bool:
        """Whether the precision's tolerance is kept; NaN is not."""
        return self.cosine >= TOLERANCE[precision]

    def document(self) -> dict[str, Any]:
        """The figures as JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"cosine to torch fp32 at least {self.cosine:.6f}, relative error at most "
            f"{self.relative_error:.1e}, on {self.images} images"
        )


def measure_agreement(engine: Engine, reference: Engine, images: UInt8Array) -> Agreement:
    """Compare two engines of the same backbone.

    Parameters
    ----------
    engine, reference : Engine
        The second is taken for the truth.
    images : ndarray of uint8, shape (n, height, width, 3)
        Preprocessed images, at least one.
    """
    cosine, relative_error = 1.0, 0.0
    for found, wanted in zip(engine.embed(images), reference.embed(images), strict=True):
        a, b = found.astype(np.float64), wanted.astype(np.float64)
        lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        both_zero = (lengths[0] == 0) & (lengths[1] == 0)
        scale = np.maximum(lengths[0] * lengths[1], np.finfo(np.float64).tiny)
        cosines = np.where(both_zero, 1.0, (a * b).sum(axis=1) / scale)
        errors = np.linalg.norm(a - b, axis=1) / np.maximum(lengths[1], np.finfo(np.float64).tiny)
        cosine = min(cosine, float(cosines.min()))
        relative_error = max(relative_error, float(errors.max()))
    return Agreement(len(images), cosine, relative_error)

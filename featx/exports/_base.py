"""What an exporter is, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featx.registry import Registry
from featx.types import Preprocess

EXPORTERS = Registry("featx.exports", str(Path(__file__).parent), "export format")


@dataclass(frozen=True)
class NetworkPart:
    """One backbone of a classifier.

    Parameters
    ----------
    network : torch.nn.Module
        Normalised float32 images (n, 3, height, width) to a tuple of vectors (n, n_features).
    output : int
        Which of the vectors is meant.
    preprocess : Preprocess
        How images become its input.
    """

    network: Any
    output: int
    preprocess: Preprocess


class Exporter(Protocol):
    """A plug-in of this package.

    Attributes
    ----------
    suffix : str
        Of the file that is named.
    companions : tuple of str
        Suffixes of further files beside it.
    """

    suffix: str
    companions: tuple[str, ...]

    def require(self) -> None:
        """Raise `MissingExtraError` or `UsageError` where a library is not installed."""

    def write(self, network: Any, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the network of `featx.exports._graph.whole_network` as ``path``.

        Raises
        ------
        ModelError
            The library cannot express it; the message quotes the library.
        """

    def run(self, path: Path, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Probabilities (n, n_classes) that the file gives of images (n, height, width, 3)."""

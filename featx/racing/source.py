"""Where the embeddings of a race come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from featx.racing.streams import Stream
from featx.types import BoolArray, Float32Array, IntArray, UInt8Array


@dataclass(frozen=True)
class Forwarded:
    """Embeddings of some images by one forward pass.

    Parameters
    ----------
    X : mapping of str to ndarray of shape (n_ok, n_features), float32
        By layer and pooling.
    ok : ndarray of shape (n,), bool
        Images that could be read.
    hashes : ndarray of shape (n, 32), uint8
    computed : int
        Images that were not in the cache.
    seconds : float
        What embedding those took, without loading the network.
    image_s : float or None
        Seconds an image, of those or of an earlier race; None where it is not known.
    """

    X: Mapping[str, Float32Array]
    ok: BoolArray
    hashes: UInt8Array
    computed: int
    seconds: float
    image_s: float | None


class EmbeddingSource(Protocol):
    """Where embeddings come from."""

    def embed(self, stream: Stream, rows: IntArray) -> Forwarded:
        """Embeddings of these rows of the data set."""

    def forget(self, stream: Stream) -> None:
        """Let go of a network that has left the race."""

    def clock(self) -> float:
        """Seconds."""

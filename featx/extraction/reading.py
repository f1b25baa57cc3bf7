"""The work of one decoding thread on one image: read, hash, and decode what is missing."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from featx.data.decode import decode_image
from featx.data.hashing import content_hash, read_bytes
from featx.data.pixels import read_pixels
from featx.data.preprocess import preprocess_image
from featx.errors import DecodeError
from featx.extraction.extractor import Extractor
from featx.types import Preprocess

__all__ = ["Reader", "Reading"]

_ANY = (0.0, 0.0, 0.0)


@dataclass
class Reading:
    """What became of one file.

    ``pixels`` maps the index of each extractor that lacks this image to its (H, W, 3) uint8
    input; empty when all have it, when it failed, or when a twin of the same content is already
    under way (``twin``). ``missing`` says that some extractor lacks it and it could be decoded.
    """

    sha256: bytes | None = None
    reason: str | None = None
    twin: bool = False
    pixels: dict[int, np.ndarray] = field(default_factory=dict)
    missing: bool = False
    size_bytes: int = 0
    read_s: float = 0.0
    decode_s: float = 0.0

    def forget_pixels(self) -> None:
        """Let go of the pixels, which others have taken."""
        self.pixels = {}


class Reader:
    """Reads images for several extractors; equal preprocessing is done once.

    Parameters
    ----------
    extractors : sequence of Extractor
        With their stores open.
    decode : bool, default True
        False only reads and hashes, and leaves a None-sized plan in ``Reading.pixels``.
    """

    def __init__(self, extractors: Sequence[Extractor], *, decode: bool = True) -> None:
        self.extractors = extractors
        self.decode = decode
        self._claimed: set[bytes] = set()
        self._lock = threading.Lock()

    def __call__(self, path: str) -> Reading:
        """Read one file; every problem with it becomes ``Reading.reason``."""
        result = Reading()
        started = time.perf_counter()
        try:
            data = read_bytes(path)
        except DecodeError as error:
            result.reason = error.message
            return result
        result.size_bytes = len(data)
        result.sha256 = content_hash(data)
        result.read_s = time.perf_counter() - started
        missing = self._missing(result.sha256)
        if self._is_claimed(result.sha256, claim=bool(missing)):
            result.twin = True
        elif missing:
            started = time.perf_counter()
            self._decode(data, missing, result)
            result.missing = result.reason is None
            result.decode_s = time.perf_counter() - started
        return result

    def _missing(self, sha256: bytes) -> list[int]:
        digest = np.frombuffer(sha256, np.uint8)[None]
        return [
            i
            for i, extractor in enumerate(self.extractors)
            if not all(store.contains(digest)[0] for store in extractor.stores)
        ]

    def _is_claimed(self, sha256: bytes, *, claim: bool) -> bool:
        """Whether this run has met the content before; claims it if not and asked to."""
        with self._lock:
            claimed = sha256 in self._claimed
            if claim:
                self._claimed.add(sha256)
            return claimed

    def _decode(self, data: bytes, missing: list[int], result: Reading) -> None:
        if not self.decode:
            result.pixels = {i: np.empty(0, np.uint8) for i in missing}
            return
        done: dict[Preprocess, np.ndarray] = {}  # normalisation, left to the engine, aside
        image = None
        try:
            for i in missing:
                preprocess = replace(self.extractors[i].preprocess, mean=_ANY, std=_ANY)
                if preprocess not in done and preprocess.decode == "scaled":
                    done[preprocess] = read_pixels(data, preprocess)
                elif preprocess not in done:
                    image = image or decode_image(data)
                    done[preprocess] = preprocess_image(image, preprocess)
                result.pixels[i] = done[preprocess]
        except DecodeError as error:
            result.reason = error.message
            result.pixels = {}

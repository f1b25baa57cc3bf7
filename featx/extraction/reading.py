"""The work of one decoding thread on one image: read, hash, and decode what is missing."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from featx.data.augment import draw_view
from featx.data.budget import keep_pixels
from featx.data.colour import Values
from featx.data.decode import Decoded, decode
from featx.data.hashing import content_hash, pixel_hash, read_bytes
from featx.data.pixels import spare_pixels, view_pixels
from featx.data.preprocess import preprocess_image
from featx.errors import DecodeError
from featx.extraction.extractor import Extractor
from featx.extraction.views import ViewPlan
from featx.types import Float32Array, Preprocess, UInt8Array

if TYPE_CHECKING:
    from PIL import Image

_ANY = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Input:
    """What one extractor is given of one file.

    Parameters
    ----------
    extractor : int
        Whose.
    name : bytes
        Of the row in its stores: the content's hash, or the name of a view.
    pixels : ndarray of shape (height, width, 3), uint8
        Empty where nothing was to be decoded, or where ``known`` is given.
    pixel_hash : bytes
        Of the image as it was decoded for this extractor, also where this is a view of it.
    known : list of ndarray of shape (1, n_features), float32, optional
        The embeddings, one for each of the extractor's stores, from an earlier cache.
    """

    extractor: int
    name: bytes
    pixels: UInt8Array
    pixel_hash: bytes
    known: list[Float32Array] | None = None


@dataclass
class Reading:
    """What became of one file.

    ``inputs`` is what the extractors lack of this image and its views; empty when all have it, when
    it failed, or when a twin of the same content is already under way (``twin``). ``missing`` says
    that some extractor lacks the image and it could be decoded, ``views`` how many of its views.
    """

    sha256: bytes | None = None
    reason: str | None = None
    twin: bool = False
    inputs: list[Input] = field(default_factory=list)
    missing: bool = False
    views: int = 0
    size_bytes: int = 0
    read_s: float = 0.0
    decode_s: float = 0.0
    values: Values | None = None


class Reader:
    """Reads images for several extractors; equal preprocessing is done once.

    Parameters
    ----------
    extractors : sequence of Extractor
        With their stores open.
    views : ViewPlan
        Of the files that are read.
    decode : bool, default True
        False only reads and hashes, and gives inputs without pixels.
    """

    def __init__(
        self, extractors: Sequence[Extractor], views: ViewPlan, *, decode: bool = True
    ) -> None:
        self.extractors = extractors
        self.views = views
        self.decode = decode
        self._claimed: set[bytes] = set()
        self._lock = threading.Lock()

    def __call__(self, path: str, index: int) -> Reading:
        """Read file ``index``; every problem with it becomes ``Reading.reason``."""
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
        names = [result.sha256]
        if self.views.wanted[index]:
            names += self.views.names(result.sha256)
        missing = self._missing(names)
        result.twin, missing = self._claim(result.sha256, missing)
        if missing:
            started = time.perf_counter()
            self._decode(data, missing, result)
            if result.reason is None:
                new = {i.name for i in result.inputs if i.known is None}
                result.missing = result.sha256 in new
                result.views = len(new) - result.missing
            result.decode_s = time.perf_counter() - started
        return result

    def _missing(self, names: Sequence[bytes]) -> dict[bytes, list[int]]:
        """The rows that some extractors lack, with those extractors."""
        digests = np.frombuffer(b"".join(names), np.uint8).reshape(-1, 32)
        missing: dict[bytes, list[int]] = {}
        for i, extractor in enumerate(self.extractors):
            there = np.all([store.contains(digests) for store in extractor.stores], axis=0)
            for k in np.flatnonzero(~there).tolist():
                missing.setdefault(names[k], []).append(i)
        return missing

    def _claim(
        self, sha256: bytes, missing: dict[bytes, list[int]]
    ) -> tuple[bool, dict[bytes, list[int]]]:
        """Whether this run has met the content before, and what no twin computes; claims that."""
        with self._lock:
            twin = sha256 in self._claimed
            free = {name: who for name, who in missing.items() if name not in self._claimed}
            self._claimed |= free.keys()
        return twin, free

    def _decode(self, data: bytes, missing: dict[bytes, list[int]], result: Reading) -> None:
        try:
            with keep_pixels():
                self._prepare(_Picture(data, self.views), missing, result)
        except DecodeError as error:
            result.reason = error.message
            result.inputs = []

    def _prepare(self, picture: _Picture, missing: dict[bytes, list[int]], result: Reading) -> None:
        for name, extractors in missing.items():
            for i in extractors:
                pixels, hashed, known = np.empty(0, np.uint8), b"", None
                extractor = self.extractors[i]
                if self.decode:
                    known = extractor.earlier.get(name) if extractor.earlier else None
                    if known and not picture.read_before(extractor.preprocess):
                        known = None
                    if known is None:
                        view = name != result.sha256
                        pixels = picture.pixels(extractor.preprocess, name, view=view)
                    hashed = picture.hash(extractor.preprocess)
                result.inputs.append(Input(i, name, pixels, hashed, known))
        result.values = picture.values


class _Picture:
    """One image file, decoded when it must be, and everything that is made of it made once."""

    def __init__(self, data: bytes, views: ViewPlan) -> None:
        self._data = data
        self._augmentation = views.augmentation
        self._decoded: dict[tuple[Preprocess | None, str], Decoded] = {}
        self._hashes: dict[tuple[Preprocess | None, str], bytes] = {}
        self._spare: dict[Preprocess, Image.Image] = {}
        self._made: dict[tuple[Preprocess, bytes], UInt8Array] = {}

    @property
    def values(self) -> Values | None:
        """Smallest and largest value of an image with more than 8 bits, once decoded."""
        return next((found.values for found in self._decoded.values()), None)

    def read_before(self, preprocess: Preprocess) -> bool:
        """Whether earlier versions gave these pixels; decodes the file, to find damage."""
        return self._decode(preprocess).read_before

    def pixels(self, preprocess: Preprocess, name: bytes, *, view: bool) -> UInt8Array:
        """The image as one network sees it, or its view of that name."""
        preprocess = _without_numbers(preprocess)
        if (preprocess, name) not in self._made:
            make = self._view if view else self._whole
            self._made[preprocess, name] = make(preprocess, name)
        return self._made[preprocess, name]

    def hash(self, preprocess: Preprocess) -> bytes:
        """Of the image's pixels as they were decoded for one network."""
        key = _decoding(preprocess)
        if key not in self._hashes:
            self._hashes[key] = pixel_hash(self._image(preprocess))
        return self._hashes[key]

    def _whole(self, preprocess: Preprocess, name: bytes) -> UInt8Array:
        return preprocess_image(self._image(preprocess), preprocess)

    def _view(self, preprocess: Preprocess, name: bytes) -> UInt8Array:
        if preprocess not in self._spare:
            self._spare[preprocess] = spare_pixels(self._image(preprocess), preprocess)
        view = draw_view(self._augmentation, name)
        return view_pixels(self._spare[preprocess], preprocess, view)

    def _image(self, preprocess: Preprocess) -> Image.Image:
        return self._decode(preprocess).image

    def _decode(self, preprocess: Preprocess) -> Decoded:
        key = _decoding(preprocess)
        if key not in self._decoded:
            scaled_for, range = key
            self._decoded[key] = decode(self._data, scaled_for=scaled_for, range=range)
        return self._decoded[key]


def _without_numbers(preprocess: Preprocess) -> Preprocess:
    """What decides pixels: normalisation is the engine's."""
    return replace(preprocess, mean=_ANY, std=_ANY)


def _decoding(preprocess: Preprocess) -> tuple[Preprocess | None, str]:
    """What an image is decoded for, if its size matters then, and the range of its values."""
    scaled = preprocess.decode == "scaled"
    return (_without_numbers(preprocess) if scaled else None), preprocess.range

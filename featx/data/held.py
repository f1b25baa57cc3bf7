"""Images in memory, wherever the path of a file is expected."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.types import UInt8Array

if TYPE_CHECKING:
    from PIL import Image

_PNG = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}
_TIFF = {"CMYK", "F", "I"}
_ORIENTATION = 0x0112
_LOADING = threading.Lock()  # Pillow must not load one image in two threads


class HeldImage(str):
    """An image in memory; as a text it is its name, which messages use.

    Its content is a file in a lossless format, made when it is read, so that it takes the same way
    through decoding, hashing and the cache as any file does.

    Parameters
    ----------
    name : str
    image : PIL.Image.Image or ndarray of shape (height, width, 3), uint8
    """

    image: Any

    def __new__(cls, name: str, image: Any) -> HeldImage:
        """A path that is a name, with the image that it stands for."""
        self = super().__new__(cls, name)
        self.image = image
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return HeldImage, (str(self), self.image)

    def content(self) -> bytes:
        """The bytes of a file that decodes to the same pixels."""
        if isinstance(self.image, np.ndarray):
            return _pixmap(self.image)
        with _LOADING:
            self.image.load()
        return _file(self.image)


def _pixmap(pixels: UInt8Array) -> bytes:
    """A portable pixmap or greymap: a header before the pixels, so equal pixels are equal files."""
    height, width = pixels.shape[:2]
    kind = b"P6" if pixels.ndim == 3 else b"P5"
    return b"%s\n%d %d\n255\n" % (kind, width, height) + np.ascontiguousarray(pixels).tobytes()


def _file(image: Image.Image) -> bytes:
    exif = image.getexif()
    turned = exif.get(_ORIENTATION, 1) != 1
    if image.mode in ("RGB", "L") and not turned and not image.has_transparency_data:
        return _pixmap(np.asarray(image))
    if image.mode not in _PNG | _TIFF:
        image = image.convert("RGB")
    stream = io.BytesIO()
    if image.mode in _PNG:
        image.save(stream, "PNG", compress_level=1, exif=exif if turned else b"")
    else:
        upright: dict[str, Any] = {"tiffinfo": {_ORIENTATION: exif[_ORIENTATION]}} if turned else {}
        image.save(stream, "TIFF", **upright)
    return stream.getvalue()

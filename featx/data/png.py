"""PNG files read strictly: Pillow checks no checksum of pixels, and leaves missing rows black."""

from __future__ import annotations

import zlib
from typing import Any

from PIL import Image, ImageFile

PNG = b"\x89PNG\r\n\x1a\n"
_CODEC = "featx_zip"
_HELD_BACK = 1  # of the four bytes that end a zlib stream; the others have the decoder go on


def png_damage(data: bytes) -> str | None:
    """The first checksum that does not hold, of the chunks that decide pixels; None if all do."""
    at, view = len(PNG), memoryview(data)
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 8 + length
        if kind[:1].isupper() or kind == b"tRNS":
            if end + 4 > len(data):
                return "truncated: the PNG ends within a chunk"
            if zlib.crc32(view[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
                return f"damaged: the checksum of a PNG chunk is wrong ({_name(kind)})"
        if kind == b"IEND":
            return None
        at = end + 4
    return "truncated: the PNG has no end chunk"


def _name(kind: bytes) -> str:
    return kind.decode("ascii") if kind.isalpha() else "not a valid chunk name"


def strict_png(image: ImageFile.ImageFile) -> None:
    """Have ``image.load`` refuse an image whose compressed data has fewer rows than it says.

    Pillow's decoder is done when the stream ends, whatever rows are missing. It never sees the end:
    with the last byte held back, only the last row makes it done.
    """
    if len(image.tile) == 1 and image.tile[0].codec_name == "zip":
        image.tile = [image.tile[0]._replace(codec_name=_CODEC)]


class _StrictDecoder(ImageFile.PyDecoder):
    """Pillow's own decoder of deflated rows, which is not shown the end of the stream."""

    def setimage(self, im: Any, extents: tuple[int, int, int, int] | None = None) -> None:
        super().setimage(im, extents)
        self._decoder = Image.core.zip_decoder(self.mode, *self.args)
        self._decoder.setimage(im, extents)

    def decode(self, buffer: Any) -> tuple[int, int]:
        shown = bytes(buffer)[:-_HELD_BACK]
        return self._decoder.decode(shown) if shown else (0, 0)


Image.register_decoder(_CODEC, _StrictDecoder)

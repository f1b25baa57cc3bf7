"""Damage that decoders pass over, and that shows in the file as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from featx.data.imagetypes import other_kind
from featx.data.png import PNG, png_damage

__all__ = ["find_damage"]


_ZEROS = 64  # so many zero bytes are in no compressed data, which has no order left


def find_damage(data: bytes) -> str | None:
    """What is wrong with a file as a whole that its decoder would not say; None if nothing is.

    Parameters
    ----------
    data : bytes
        The whole file, of any format.
    """
    if data.startswith(PNG):
        return png_damage(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        pictures = [body for kind, body in _riff_chunks(data) if kind in (b"VP8 ", b"VP8L")]
        return _unfinished(pictures[-1]) if pictures else None
    if data[4:8] == b"ftyp" and other_kind(data) is None:
        return _unfinished(data)
    return None  # or a kind that is not read, which is reason enough


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the chunks of a WebP file; those of its frames are not looked into."""
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _unfinished(data: bytes) -> str | None:
    if len(data) > _ZEROS and not any(data[-_ZEROS:]):
        zeros = len(data) - len(data.rstrip(b"\0"))
        return f"truncated: the last {zeros} bytes are zeros, as of an unfinished download"
    return None

"""JPEG files decoded strictly: what libjpeg would fill with grey, and only warn of, is refused.

libjpeg warns where compressed data ends too early, goes on with zeros, and Pillow passes the
warning over. But libjpeg also decodes from a stream, and waits where bytes are not there yet. So
the decoder is given each run of compressed data by itself, without the marker that ends it: with
nine bytes of padding it then wants the marker, or more data, if some are missing. The pixels and
the cost are those of `Image.load`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageFile

from featx.errors import DecodeError

_CODEC = "featx_jpeg"
_CUT = "truncated: the JPEG's image data ends too early"
#: More than libjpeg ever looks ahead (a 64-bit register), as data that is no valid code anywhere.
_PADDING = b"\xff\x00" * 9
_PROBES = 3  # single bytes: where a marker is wanted each is skipped at once, else gathered
_LEFT_OVER = 64  # so many bytes or fewer after the last pixel are padding of some encoders
_MOST_RUNS = 2000  # files with more restarts are only held to their end, which costs nothing
_MARKER = re.compile(rb"\xff[^\x00\xff]")  # within compressed data
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = frozenset({0xC0, 0xC1})
_HUFFMAN = _SEQUENTIAL | {0xC2}
_RESTARTS = range(0xD0, 0xD8)
_ALONE = frozenset({0x01, 0xD8, *_RESTARTS})  # markers without a segment


@dataclass(frozen=True)
class JpegLayout:
    """Where the pixels of a JPEG file are.

    Parameters
    ----------
    frame : int
        The second byte of the start-of-frame marker; 0 when there is none.
    runs : tuple of (int, int)
        Where each run of compressed data begins, and where the marker is that ends it.
    end : int
        Where the end marker is; -1 when it is missing.
    one_scan : bool
        All of the image is in one sequential scan, decoded row by row as its bytes come; else
        every coefficient is kept in memory until the end.
    whole : bool
        The restart markers count as they must, and every coefficient of every component is there
        to its last bit, as far as the headers of the scans say.
    """

    frame: int
    runs: tuple[tuple[int, int], ...]
    end: int
    one_scan: bool
    whole: bool


def read_jpeg_layout(data: bytes) -> JpegLayout:
    """Walk the markers of a JPEG file.

    Segments are stepped over, because an embedded thumbnail has an end marker of its own.
    """
    at, frame, header, interval, end = 2, 0, b"", 0, -1
    one_scan = in_order = True
    runs: list[tuple[int, int]] = []
    missing: dict[int, set[int]] = {}  # component -> coefficients not yet there to the last bit
    while data[at : at + 1] == b"\xff" and at + 1 < len(data):
        marker = data[at + 1]
        if marker == 0xD9:
            end = at
            break
        if marker == 0xFF or marker in _ALONE:  # one fill byte, or a marker of two bytes
            at += 1 if marker == 0xFF else 2
            continue
        body = data[at + 4 : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
        at += 4 + len(body)
        if marker in _FRAMES and len(body) > 5:
            frame, header = marker, body
            missing = {part: set(range(64)) for part in body[6::3]}
        elif marker == 0xDD:
            interval = int.from_bytes(body[:2], "big")
        elif marker == 0xDA:
            one_scan = not runs and body[:1] == bytes([len(missing)]) and frame in _SEQUENTIAL
            _cross_off(missing, body, sequential=frame in _SEQUENTIAL)
            found = _scan_runs(data, at)
            restarts = [data[stop + 1] - _RESTARTS[0] for _, stop in found[:-1]]
            in_order = in_order and restarts == [k % 8 for k in range(len(restarts))]
            if interval:
                in_order = in_order and len(found) >= -(-_units(header, body) // interval)
            runs += found
            at = found[-1][1]
    return JpegLayout(frame, tuple(runs), end, one_scan, in_order and not any(missing.values()))


def _cross_off(missing: dict[int, set[int]], header: bytes, *, sequential: bool) -> None:
    """Take what a scan completes off what is missing."""
    parts = header[1 : 1 + 2 * header[0] : 2] if header else b""
    first, last, bits = (0, 63, 0) if sequential or len(header) < 4 else header[-3:]
    if bits & 15 == 0:
        for part in parts:
            missing.get(part, set()).difference_update(range(first, last + 1))


def _units(frame: bytes, scan: bytes) -> int:
    """The coded units of a scan, which restart intervals count; 0 where the headers do not say."""
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    factors = {part: divmod(hv, 16) for part, hv in zip(frame[6::3], frame[7::3], strict=False)}
    parts = scan[1 : 1 + 2 * scan[0] : 2] if scan else b""
    if not parts or any(part not in factors for part in parts):
        return 0
    across, down = (max(factor[k] for factor in factors.values()) or 1 for k in (0, 1))
    if len(parts) == 1:  # the blocks of one component, which need not fill a unit of all
        h, v = factors[parts[0]]
        return math.ceil(width * h / across / 8) * math.ceil(height * v / down / 8)
    return math.ceil(width / across / 8) * math.ceil(height / down / 8)


def _scan_runs(data: bytes, at: int) -> list[tuple[int, int]]:
    """The runs of compressed data from ``at``, as far as each ends in a restart marker."""
    runs = []
    for found in _MARKER.finditer(data, at):
        runs.append((at, found.start()))
        at = found.end()
        if data[at - 1] not in _RESTARTS:
            return runs
    return [*runs, (at, len(data))]


def strict_jpeg(image: ImageFile.ImageFile, data: bytes, layout: JpegLayout) -> None:
    """Have ``image.load`` refuse an image of which compressed data is missing.

    Parameters
    ----------
    image : PIL.ImageFile.ImageFile
        Opened from ``data``; a draft of it may have been asked for.
    data : bytes
        The whole file.
    layout : JpegLayout
        Of ``data``; with an end marker.
    """
    if layout.frame in _HUFFMAN and len(image.tile) == 1:  # arithmetic decoders cannot wait
        tile = image.tile[0]
        args = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        image.tile = [tile._replace(codec_name=_CODEC, args=((data, layout), *args))]


class _StrictDecoder(ImageFile.PyDecoder):
    """Pillow's own JPEG decoder, fed by hand and asked what it waits for."""

    def init(self, args: tuple[Any, ...]) -> None:
        (self._data, self._layout), *self._own = args
        self._rest, self._done, self._code = b"", False, 0

    def setimage(self, im: Any, extents: tuple[int, int, int, int] | None = None) -> None:
        super().setimage(im, extents)
        self._decoder = Image.core.jpeg_decoder(self.mode, *self._own)
        self._decoder.setimage(im, extents)

    def decode(self, buffer: Any) -> tuple[int, int]:
        """Decode the whole file, whatever part of it ``buffer`` is."""
        data, layout, at = self._data, self._layout, 0
        if not layout.whole:
            raise DecodeError("damaged: parts of the JPEG's image data are missing")
        for start, stop in layout.runs if len(layout.runs) <= _MOST_RUNS else layout.runs[-1:]:
            probed = max(start, stop - _LEFT_OVER - _PROBES)
            self._feed(data[at:probed])
            # A decoder that skips bytes here has the last pixel already: the rest is surplus.
            wanted = self._done or self._wants_marker(data[probed:stop][:_PROBES])
            left = data[probed:stop]
            if wanted and len(left) > _LEFT_OVER and left.strip(b"\xff"):
                raise DecodeError("damaged: the JPEG has surplus image data")
            self._feed(data[probed + _PROBES : stop] + _PADDING)
            if not (self._done or self._wants_marker(bytes(_PROBES))):
                raise DecodeError(_CUT)
            at = stop
        if layout.one_scan and not self._done:
            raise DecodeError(_CUT)
        self._feed(data[layout.end : layout.end + 2])
        return -1, self._code

    def _feed(self, data: bytes) -> None:
        """Give the decoder some bytes, and keep those that it has not taken."""
        if data and not self._done:
            self._rest += data
            taken, code = self._decoder.decode(self._rest)
            self._done = taken < 0
            self._rest = b"" if self._done else self._rest[taken:]
            self._code = code or self._code

    def _wants_marker(self, singles: bytes) -> bool:
        """Whether bytes are skipped one by one, as they are where a marker is wanted."""
        skipped = not self._rest
        for k in range(len(singles)):
            self._feed(singles[k : k + 1])
            skipped = skipped and not self._rest
        return skipped


Image.register_decoder(_CODEC, _StrictDecoder)

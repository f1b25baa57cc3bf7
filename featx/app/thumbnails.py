"""Pictures of a data set's images for a page: decoded by featx's own reader, made once, kept."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from featx.data.decode import decode_image
from featx.data.hashing import content_hash, read_bytes
from featx.errors import DecodeError
from featx.files import hidden_name
from featx.types import Preprocess

SMALL_PX, LARGE_PX = 320, 2048
QUALITY = {SMALL_PX: 78, LARGE_PX: 90}  # of WebP
_LENGTH = struct.Struct("<I")  # of what follows, in the header of a WebP file
MOST_KNOWN = 1_000_000  # digests of files that are remembered


@dataclass(frozen=True)
class Pictured:
    """A picture as it is sent.

    Parameters
    ----------
    data : bytes
        WebP.
    digest : str
        SHA-256 of the image's file.
    """

    data: bytes
    digest: str


class Thumbnails:
    """Pictures by content, on disk below the cache; safe to ask from many threads.

    Only pictures that featx has decoded leave it, never the bytes of a file, whatever its name.

    Parameters
    ----------
    folder : Path
        Where they are kept; whatever is missing there is made again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digests: OrderedDict[tuple[str, int, int], str] = OrderedDict()
        self._lock = threading.Lock()

    def picture(self, path: str, size_px: int) -> Pictured:
        """An image with its longest side at most ``size_px``.

        Raises
        ------
        DecodeError
            It cannot be read; the message says why.
        """
        known = self._known(path)
        if known is not None and (kept := self._kept(known, size_px)) is not None:
            return Pictured(kept, known)
        data = read_bytes(path)
        digest = content_hash(data).hex()
        self._remember(path, digest)
        kept = self._kept(digest, size_px)
        if kept is None:
            kept = _small(data, size_px)
            if size_px == SMALL_PX:
                self._keep(digest, size_px, kept)
        return Pictured(kept, digest)

    def _known(self, path: str) -> str | None:
        with self._lock:
            return self._digests.get(_state(path))

    def _remember(self, path: str, digest: str) -> None:
        with self._lock:
            self._digests[_state(path)] = digest
            while len(self._digests) > MOST_KNOWN:
                self._digests.popitem(last=False)

    def _place(self, digest: str, size_px: int) -> Path:
        return self._folder / str(size_px) / digest[:2] / f"{digest}.webp"

    def _kept(self, digest: str, size_px: int) -> bytes | None:
        try:
            data = self._place(digest, size_px).read_bytes()
        except OSError:
            return None
        return data if len(data) > 8 and len(data) - 8 == _LENGTH.unpack(data[4:8])[0] else None

    def _keep(self, digest: str, size_px: int, data: bytes) -> None:
        """Write a picture; where the disk is full or read-only it is made again next time."""
        place = self._place(digest, size_px)
        temporary = hidden_name(place, "tmp")
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(data)
                temporary.replace(place)  # unsynced: a file that is cut is seen and made again
            except OSError:
                temporary.unlink(missing_ok=True)
                raise


def _state(path: str) -> tuple[str, int, int]:
    """What changes when a file does: its path, time and size."""
    try:
        status = Path(path).stat()
    except OSError:
        raise DecodeError("file not found") from None
    return path, status.st_mtime_ns, status.st_size


def _small(data: bytes, size_px: int) -> bytes:
    image = decode_image(data, scaled_for=Preprocess((size_px, size_px), crop=1.0))
    image.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY[size_px], method=2)
    return buffer.getvalue()

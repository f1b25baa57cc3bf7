"""TIFF files: libtiff's messages, what Pillow would misread, and the kinds not read."""

from __future__ import annotations

import ctypes
import functools
import io
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from featx.data.colour import Scale
from featx.errors import DecodeError

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANES = 258, 259, 262, 277, 284
_WIDTH, _HEIGHT, _FILL_ORDER = 256, 257, 266
_SAMPLE_FORMAT, _SUBSAMPLING, _NODATA = 339, 530, 42113
_YCBCR = 6
_NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
_FORMATS = {1: "unsigned", 2: "signed", 3: "float", 5: "complex", 6: "complex float"}
_PHOTOMETRICS = {
    0: "grey with 0 white", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr",
    8: "CIELAB", 9: "ICCLAB", 10: "ITULAB", 32803: "camera raw", 32844: "LogL", 32845: "LogLuv",
}  # fmt: skip

_DIRECTIVE = re.compile(
    r"%[-+ #0]*\d*(?:\.\d+)?[hljzt]*[a-zA-Z]"
)  # of a format; it is not filled in
_listening = threading.local()


def is_tiff(data: bytes) -> bool:
    """Whether these are the bytes of a TIFF file, also of a big one."""
    return data[:4] in _MAGIC


def mend_tiff(image: TiffImagePlugin.TiffImageFile) -> None:
    """Have `load` decode what Pillow would misread, as far as it can; refuse the rest.

    Compressed data in big-endian order comes from libtiff in the machine's own order, which Pillow
    forgets for signed integers and floats. Uncompressed planes of 16 bits it reads as if each had
    8; libtiff reads them rightly, if asked to. Of a single plane it forgets how its bits are laid.

    Raises
    ------
    DecodeError
        Pillow would misread the file whatever is done.
    """
    tags = image.tag_v2
    bits, form = _first(tags, _BITS), _first(tags, _SAMPLE_FORMAT)
    if form == 2 and bits == 8:
        raise DecodeError(f"{tiff_kind(tags)} is not read")
    raw = _first(tags, _COMPRESSION) == 1
    if raw and _first(tags, _PHOTOMETRIC) == _YCBCR and tags.get(_SUBSAMPLING, (2, 2)) != (1, 1):
        raise DecodeError(f"{tiff_kind(tags)}, uncompressed and subsampled, is not read")
    if not image.tile:
        return
    planes = _first(tags, _SAMPLES) if _first(tags, _PLANES) == 2 else 0
    if raw and planes == 1:
        colour, order = _first(tags, _PHOTOMETRIC), _first(tags, _FILL_ORDER)
        rawmode = TiffImagePlugin.OPEN_INFO[tags.prefix, colour, (form,), order, (bits,), ()][1]
        image.tile = [tile._replace(args=(rawmode, *(tile.args or ())[1:])) for tile in image.tile]
    elif raw and planes and bits > 8:
        rawmode = {"RGB": "RGB;16N", "RGBA": "RGBA;16N", "CMYK": "CMYK;16N"}[image.mode]
        image.use_load_libtiff = True
        image.tile = [
            image.tile[0]._replace(
                codec_name="libtiff",
                extents=(0, 0, int(tags[_WIDTH]), int(tags[_HEIGHT])),
                offset=0,
                args=(rawmode, False, tags.offset),
            )
        ]
    elif image.tile[0].codec_name == "libtiff":
        rawmode, *others = tuple(image.tile[0].args or ())
        image.tile = [image.tile[0]._replace(args=(_NATIVE.get(rawmode, rawmode), *others))]


def tiff_scale(image: TiffImagePlugin.TiffImageFile, wanted: tuple[float, float] | None) -> Scale:
    """How the values of a page become 8 bits: by what its tags say, within ``wanted`` if given."""
    tags = image.tag_v2
    nodata = None
    with suppress(ValueError):
        nodata = float(str(tags.get(_NODATA)).strip("\0 "))
    bits = _first(tags, _BITS)
    return Scale(
        wanted,
        top=2 ** (bits if 8 < bits < 16 else 16) - 1,
        nodata=nodata,
        zero_is_white=_first(tags, _PHOTOMETRIC) == 0,
    )


def check_loaded(image: TiffImagePlugin.TiffImageFile) -> None:
    """Refuse unsigned values that do not fit into Pillow's signed ones."""
    tags = image.tag_v2
    unsigned = _first(tags, _SAMPLE_FORMAT) == 1 and _first(tags, _BITS) == 32
    if image.mode == "I" and unsigned and int(np.asarray(image).min()) < 0:
        raise DecodeError(f"{tiff_kind(tags)} above {2**31 - 1} is not read")


def tiff_kind(source: bytes | Mapping[int, Any]) -> str:
    """What the first page of a TIFF file holds, for people.

    Parameters
    ----------
    source : bytes or mapping
        The whole file, or the tags of its first page.
    """
    if isinstance(source, bytes) and source.startswith(_MAGIC[3]):
        return "BigTIFF in big-endian order"
    try:
        tags = _tags(source) if isinstance(source, bytes) else source
        bits, form = _first(tags, _BITS), _first(tags, _SAMPLE_FORMAT)
        samples, colour = _first(tags, _SAMPLES), _first(tags, _PHOTOMETRIC)
        planes = ", separate planes" if _first(tags, _PLANES) == 2 and samples > 1 else ""
    except Exception:
        return "TIFF with a damaged header"
    shown = _PHOTOMETRICS.get(colour, f"photometric interpretation {colour}")
    many = f", {samples} samples" if samples > 1 else ""
    return f"TIFF with {bits}-bit {_FORMATS.get(form, 'undefined')} values ({shown}{many}{planes})"


def _tags(data: bytes) -> TiffImagePlugin.ImageFileDirectory_v2:
    header = data[:16] if data.startswith(_MAGIC[2]) else data[:8]
    tags = TiffImagePlugin.ImageFileDirectory_v2(header)
    stream = io.BytesIO(data)
    stream.seek(tags.next)
    tags.load(stream)
    return tags


def _first(tags: Mapping[int, Any], tag: int) -> int:
    """A tag's number, the first where there are several; the standard's own where it is absent."""
    value = tags.get(tag, 0 if tag == _PHOTOMETRIC else 1)
    return int(value[0] if isinstance(value, tuple) else value)


@contextmanager
def heard_from_libtiff() -> Iterator[list[str]]:
    """Collect the messages of libtiff's decoders in this thread; nothing is printed meanwhile.

    The list stays empty where libtiff cannot be reached, as where Pillow has it built in.
    """
    _listen()
    messages: list[str] = []
    _listening.messages = messages
    try:
        yield messages
    finally:
        del _listening.messages


# void handler(const char *module, const char *format, va_list): TIFFErrorHandler of tiffio.h
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)


@functools.cache
def _listen() -> list[Any]:
    """Put handlers into the libtiff that Pillow uses, once; what must be kept alive for it.

    Pillow sets none, so libtiff prints to standard error, without the name of any file, and goes
    on. The handlers pass on messages outside of `heard_from_libtiff`.
    """
    kept: list[Any] = []
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(Image.core.__file__)  # the symbols of what it is linked to are its
        for name, strict in (("TIFFSetErrorHandler", True), ("TIFFSetWarningHandler", False)):
            install = getattr(library, name)
            install.restype, install.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
            before = [install(None)]
            handler = _HANDLER(functools.partial(_hear, strict, before))
            kept.append(handler)
            install(handler)
    return kept


def _hear(
    strict: bool, before: list[int | None], module: bytes | None, text: bytes | None, values: Any
) -> None:
    """Take one message of libtiff; errors count, and warnings of its decoders."""
    messages = getattr(_listening, "messages", None)
    if messages is None:
        if before[0]:
            _HANDLER(before[0])(module, text, values)
        return
    who = (module or b"").decode("ascii", "replace")
    decoding = who == "JPEGLib" or (who.endswith("Decode") and not who.endswith("PreDecode"))
    if strict or decoding:
        message = _DIRECTIVE.sub("…", (text or b"").decode("ascii", "replace"))
        messages.append(f"{who}: {message}")

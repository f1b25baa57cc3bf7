"""Files that decoders read with wrong pixels and without a word."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featx.data import pillow
from featx.data.colour import Scale, scaled_to_rgb
from featx.data.decode import decode, decode_image
from featx.data.jpeg import read_jpeg_layout
from featx.errors import DecodeError
from featx.types import Preprocess

END = b"\xff\xd9"
KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "many restarts": {"restart_marker_blocks": 2, "progressive": True},
    "optimised": {"optimize": True, "subsampling": 0},
    "grey": {"mode": "L"},
    "CMYK": {"mode": "CMYK"},
}


def picture(mode: str = "RGB", width: int = 120, height: int = 90) -> Image.Image:
    """Smooth colours with some grain: what a photograph is to a compressor."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (7, 9, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height)), int)
    grain = random.integers(-6, 7, smooth.shape)
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).convert(mode)


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def jpeg(kind: str) -> bytes:
    options = dict(KINDS[kind])
    return encode(picture(str(options.pop("mode", "RGB"))), "JPEG", quality=85, **options)


@pytest.fixture(scope="module")
def jpegs() -> dict[str, bytes]:
    return {kind: jpeg(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_whole_jpegs_have_the_pixels_that_pillow_gives(kind, jpegs):
    expected = Image.open(io.BytesIO(jpegs[kind])).convert("RGB")
    assert decode_image(jpegs[kind]).tobytes() == expected.tobytes()


@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    quality=st.integers(1, 100),
    subsampling=st.integers(0, 2),
    progressive=st.booleans(),
    optimize=st.booleans(),
    restart_marker_blocks=st.integers(0, 5),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
)
@settings(max_examples=150, deadline=None)
def test_no_whole_jpeg_is_refused(width, height, mode, **options):
    data = encode(picture(mode, width, height), "JPEG", **options)
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    assert decode_image(data).tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_cut_anywhere_and_closed_is_refused(kind, jpegs):
    data = jpegs[kind]
    first = read_jpeg_layout(data).runs[0][0]
    for at in range(first + 2, len(data) - 40, max(1, len(data) // 60)):
        with pytest.raises(DecodeError, match=r"truncated|damaged|not an image|Error"):
            decode_image(data[:at] + END)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_jpeg_that_lost_a_part_or_got_zeros_is_refused(kind, kept, jpegs):
    data, at = jpegs[kind], int(len(jpegs[kind]) * kept)
    for broken in (
        data[:at] + data[at + 120 :],
        data[:at] + bytes(len(data) - at - 2) + END,
        data[:at] + data[at - 300 : at] + data[at:],
    ):
        with pytest.raises(DecodeError):
            decode_image(broken)


def test_a_cut_is_found_also_where_the_jpeg_is_decoded_scaled():
    data = encode(picture(width=640, height=480), "JPEG")
    preprocess = Preprocess((32, 32), decode="scaled")
    assert decode_image(data, scaled_for=preprocess).width == 160
    with pytest.raises(DecodeError, match="ends too early"):
        decode_image(data[: len(data) * 3 // 4] + END, scaled_for=preprocess)


@pytest.mark.parametrize("filler", [b"", b"\xff" * 200, b"\0" * 16])
def test_padding_before_the_end_marker_is_fine(filler, jpegs):
    data = jpegs["baseline"]
    padded = data[:-2] + filler + END + b"what a camera appends"
    assert decode_image(padded).tobytes() == decode_image(data).tobytes()


def test_a_progressive_jpeg_without_its_last_scans_is_refused(jpegs):
    data = jpegs["progressive"]
    ends = [stop for _, stop in read_jpeg_layout(data).runs]
    assert len(ends) > 4
    for stop in ends[:-1]:
        with pytest.raises(DecodeError, match="parts of the JPEG's image data are missing"):
            decode_image(data[:stop] + END)


@given(seed=st.integers(0, 2**32), kind=st.sampled_from(sorted(KINDS)))
@settings(max_examples=40, deadline=None)
def test_whatever_is_done_to_a_jpeg_is_an_image_or_a_decode_error(seed, kind):
    random = np.random.default_rng(seed)
    data = bytearray(jpeg(kind))
    for _ in range(random.integers(1, 6)):
        data[random.integers(2, len(data))] = random.integers(0, 256)
    with contextlib.suppress(DecodeError):
        assert decode_image(bytes(data)).mode == "RGB"


def limited(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    monkeypatch.setattr(pillow, "PIXEL_LIMIT", pixels)


@pytest.mark.parametrize(
    ("limit", "size"),
    [(10_800, (120, 90)), (10_799, (60, 45)), (2_700, (60, 45)), (1500, (30, 23))],
)
def test_a_larger_jpeg_is_decoded_at_a_part_of_its_size(limit, size, monkeypatch, jpegs):
    limited(monkeypatch, limit)
    decoded = decode(jpegs["baseline"])
    assert (decoded.image.size, decoded.size_px) == (size, (120, 90))
    expected = picture().resize(size)
    assert np.abs(np.asarray(decoded.image, int) - np.asarray(expected, int)).mean() < 12


def test_pillows_own_limit_does_not_stop_a_large_jpeg(monkeypatch, jpegs):
    limited(monkeypatch, 4000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)  # Pillow refuses twice as many
    assert decode(jpegs["baseline"]).image.size == (60, 45)
    with pytest.raises(DecodeError, match="too many pixels"):
        decode(encode(picture(), "PNG"))


@pytest.mark.parametrize(
    ("kind", "limit"), [("baseline", 10_800 // 8), ("progressive", 10_800 // 4)]
)
def test_a_jpeg_has_a_limit_too(kind, limit, monkeypatch, jpegs):
    limited(monkeypatch, limit)
    assert decode(jpegs[kind]).image.width < 120
    limited(monkeypatch, limit - 1)
    with pytest.raises(DecodeError, match=r"too many pixels: 120 × 90; the limit is .* for a JPEG"):
        decode(jpegs[kind])


def chunks(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Start, length and kind of each chunk of a PNG."""
    at = 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        yield at, length, kind
        at += length + 12


def test_a_png_with_a_wrong_checksum_is_refused():
    image = picture().quantize()
    data = encode(image, "PNG", transparency=3)
    assert decode_image(data).mode == "RGB"
    tried = set()
    for at, length, kind in chunks(data):
        broken = bytearray(data)
        broken[at + 8 + length] ^= 1
        tried.add(kind)
        with pytest.raises(DecodeError, match=r"checksum|broken PNG"):
            decode_image(bytes(broken))
    assert tried == {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 60),
    mode=st.sampled_from(["1", "L", "P", "LA", "RGB", "RGBA", "I;16"]),
    flat=st.booleans(),
    level=st.integers(0, 9),
)
@settings(max_examples=120, deadline=None)
def test_no_whole_png_is_refused(width, height, mode, flat, level):
    image = (
        Image.new("RGB", (width, height), (9, 200, 30)) if flat else picture("RGB", width, height)
    )
    image = Image.new("I;16", image.size, 7) if mode == "I;16" else image.convert(mode)
    data = encode(image, "PNG", compress_level=level)
    expected = scaled_to_rgb(image, Scale())[0]
    assert decode_image(data).tobytes() == expected.tobytes()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (33, 21)])
@pytest.mark.parametrize("flat", [True, False])
def test_an_interlaced_png_is_read_and_refused_where_a_pass_is_missing(size, flat):
    array = np.asarray(picture("L", *size)) * (not flat)
    starts = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    passes = [array[y::down, x::across] for y, x, down, across in (*starts, (1, 0, 2, 1))]
    rows = [b"\0" + row.tobytes() for part in passes if part.size for row in part]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 1))

    def png(raw: bytes) -> bytes:
        body = chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + header + body

    found = np.asarray(decode_image(png(b"".join(rows))))
    np.testing.assert_array_equal(found[..., 0], array)
    if len(rows) > 1:
        with pytest.raises(DecodeError, match="truncated"):
            decode_image(png(b"".join(rows[:-1])))


@pytest.mark.parametrize("idats", [1, 7])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_png_with_rows_missing_is_refused(mode, idats):
    array = np.asarray(picture(mode))
    colour = {"L": 0, "RGB": 2, "RGBA": 6}[mode]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 120, 90, 8, colour, 0, 0, 0))

    def png(rows: int) -> bytes:
        stream = zlib.compress(b"".join(b"\0" + row.tobytes() for row in array[:rows]))
        cuts = np.linspace(0, len(stream), idats + 1).astype(int)
        parts = [chunk(b"IDAT", stream[a:b]) for a, b in itertools.pairwise(cuts)]
        return b"\x89PNG\r\n\x1a\n" + header + b"".join(parts) + chunk(b"IEND", b"")

    np.testing.assert_array_equal(Image.open(io.BytesIO(png(90))), array)
    assert decode_image(png(90)).tobytes() == decode_image(encode(picture(mode), "PNG")).tobytes()
    for rows in (1, 45, 89):
        with pytest.raises(DecodeError, match="truncated"):
            decode_image(png(rows))


def test_a_png_whose_tail_is_zeros_is_refused():
    # Zeros are an end of a deflate stream to some, so the rest of the image was black.
    data = encode(picture(), "PNG", compress_level=0)
    for kept in (0.3, 0.7, 0.95):
        at = int(len(data) * kept)
        with pytest.raises(DecodeError, match=r"checksum|truncated"):
            decode_image(data[:at] + bytes(len(data) - at))


@pytest.mark.parametrize("format", ["WEBP", "AVIF", "JPEG", "GIF", "JPEG2000", "PNG"])
def test_an_unfinished_download_is_refused(format):
    data = encode(picture(), format)
    for kept in (0.4, 0.9):
        at = int((len(data) - 80) * kept)
        with pytest.raises(DecodeError):
            decode_image(data[:at] + bytes(len(data) - at))


def test_what_libtiff_complains_of_is_heard_and_nothing_is_printed(capfd):
    # libtiff prints its errors to standard error and goes on with what it has.
    data = encode(picture("1"), "TIFF", compression="group4")
    refused = 0
    for at in range(100, len(data) - 200, 97):
        broken = bytearray(data)
        broken[at] ^= 0x55
        try:
            decode_image(bytes(broken))
        except DecodeError as error:
            refused += error.message.startswith("damaged: Fax4Decode: Bad code word")
    assert refused > 3
    assert capfd.readouterr() == ("", "")


def flat_below(width: int, height: int) -> Image.Image:
    """Noise on white, whose white part WebP compresses to zeros."""
    noise = np.random.default_rng(0).integers(0, 255, (height // 6, width, 3), dtype=np.uint8)
    image = Image.new("RGB", (width, height), "white")
    image.paste(Image.fromarray(noise), (0, 0))
    return image


@pytest.mark.parametrize(
    "how",
    [
        {"quality": 75, "method": 4},
        {"quality": 100, "method": 0},
        {"lossless": True, "method": 0},
    ],
)
def test_a_webp_that_ends_in_a_flat_area_is_read_though_its_data_ends_in_zeros(how):
    data = encode(flat_below(1400, 900), "WEBP", **how)
    assert not any(data[-64:])
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    assert decode_image(data).tobytes() == expected.tobytes()


@pytest.mark.parametrize("how", [{"quality": 75}, {"lossless": True}])
def test_an_unfinished_webp_of_an_image_that_is_flat_above_is_refused(how):
    data = encode(flat_below(800, 600).transpose(Image.Transpose.ROTATE_180), "WEBP", **how)
    cut = data[: len(data) // 2]
    with pytest.raises(DecodeError, match="zeros, as of an unfinished download"):
        decode_image(cut + bytes(len(data) - len(cut)))

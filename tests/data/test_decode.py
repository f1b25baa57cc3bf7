"""Decoding: one pixel test for each kind of file."""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, features

from featx.data import pillow
from featx.data.decode import DECODE_POLICY, decode, decode_image
from featx.data.imagetypes import FORMATS
from featx.errors import DecodeError, UsageError
from featx.types import canonical_json

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "PPM": {}, "WEBP": {"lossless": True}}


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray:
    image = decode_image(data)
    assert image.mode == "RGB"
    return np.asarray(image)


def noise(height: int = 24, width: int = 32) -> Image.Image:
    """RGB noise: nothing about it compresses, so that cutting a file cuts pixels."""
    random = np.random.default_rng(0)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


def gradient() -> Image.Image:
    """A smooth RGB picture that lossy formats keep."""
    y, x = np.mgrid[0:32, 0:48]
    return Image.fromarray(np.stack([x * 5, y * 7, 255 - x * 5], axis=-1).astype(np.uint8))


@pytest.mark.parametrize("format", LOSSLESS)
def test_lossless_formats_keep_every_pixel(format):
    image = noise()
    decoded = decode(encode(image, format, **LOSSLESS[format]))
    np.testing.assert_array_equal(np.asarray(decoded.image), np.asarray(image))
    assert (decoded.format, decoded.mode) == (format, "RGB")


@pytest.mark.parametrize(
    ("format", "options", "off_by"),
    [
        ("JPEG", {"quality": 95}, 8),
        ("JPEG", {"quality": 95, "progressive": True}, 8),
        ("WEBP", {"quality": 95}, 14),
        ("AVIF", {"quality": 95}, 14),
        ("JPEG2000", {}, 1),
    ],
)
def test_lossy_formats_keep_the_picture(format, options, off_by):
    if format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    image = gradient()
    decoded = decode(encode(image, format, **options))
    difference = np.asarray(decoded.image).astype(int) - np.asarray(image).astype(int)
    assert np.abs(difference).max() <= off_by
    assert decoded.format == format


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied(format, orientation):
    # What a viewer shows as R G / B W, and how each orientation stores it, spelled out.
    stored = {
        1: "RG BW", 2: "GR WB", 3: "WB GR", 4: "BW RG",
        5: "RB GW", 6: "GW RB", 7: "WG BR", 8: "BR WG",
    }[orientation]  # fmt: skip
    colours = {"R": RED, "G": GREEN, "B": BLUE, "W": WHITE}
    blocks = np.array([[colours[c] for c in row] for row in stored.split()], np.uint8)
    image = Image.fromarray(blocks.repeat(32, axis=0).repeat(48, axis=1))
    exif = Image.Exif()
    exif[274] = orientation
    decoded = pixels(encode(image, format, exif=exif, quality=95))
    assert decoded.shape[:2] == ((64, 96) if orientation < 5 else (96, 64))
    height, width = decoded.shape[:2]
    for name, y, x in [("R", 0, 0), ("G", 0, 1), ("B", 1, 0), ("W", 1, 1)]:
        centre = decoded[height // 4 + y * height // 2, width // 4 + x * width // 2].astype(int)
        assert np.abs(centre - colours[name]).max() < 20, (name, centre)


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0MM\0\x2a\0\0\0\x08\xff\xff", b"junk"])
def test_damaged_exif_leaves_the_pixels(exif):
    image = gradient()
    expected = pixels(encode(image, "JPEG"))
    np.testing.assert_array_equal(pixels(encode(image, "JPEG", exif=exif)), expected)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_16_bit_grey_is_scaled_not_clipped(format):
    values = np.array([[0, 128, 129, 257], [25700, 32767, 65406, 65535]], np.uint16)
    values = values.repeat(8, axis=0).repeat(8, axis=1)
    options = {"irreversible": False} if format == "JPEG2000" else {}
    grey = pixels(encode(Image.fromarray(values), format, **options))
    expected = np.array([[0, 0, 1, 1], [100, 127, 254, 255]])
    np.testing.assert_array_equal(grey[::8, ::8, 0], expected)
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])


def test_big_endian_16_bit_tiff():
    image = Image.frombytes("I;16B", (2, 1), struct.pack(">HH", 25700, 65535))
    np.testing.assert_array_equal(pixels(encode(image, "TIFF"))[0, :, 0], [100, 255])


def test_16_bit_colour_png():
    row = b"\0" + struct.pack(">6H", 0, 25700, 65535, 65535, 0, 12850)
    data = png(struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0), row)
    np.testing.assert_array_equal(pixels(data), [[[0, 100, 255], [255, 0, 50]]])


def test_16_bit_grey_with_a_transparent_value():
    row = b"\0" + struct.pack(">3H", 0, 7, 65535)
    header = struct.pack(">IIBBBBB", 3, 1, 16, 0, 0, 0, 0)
    data = png(header, row, extra=chunk(b"tRNS", struct.pack(">H", 7)))
    np.testing.assert_array_equal(pixels(data)[0, :, 0], [0, 255, 255])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 25700, 65535], [0, 100, 255]),  # 16-bit values in 32: the 16-bit scale
        ([-32768, 0, 32767], [0, 128, 255]),  # signed: min-max
        ([0, 1_000_000, 2_000_000], [0, 128, 255]),
        ([-5, -5, -5], [0, 0, 0]),
    ],
)
def test_32_bit_integers(values, expected):
    image = Image.fromarray(np.array([values], np.int32))
    np.testing.assert_array_equal(pixels(encode(image, "TIFF"))[0, :, 0], expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),  # 127.5 rounds to even
        ([0.25, 0.25, 0.25], [64, 64, 64]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),  # 8-bit values stored as floats
        ([-1.0, 0.0, 1.0], [0, 128, 255]),  # min-max
        ([0.0, 500.0, 1000.0], [0, 128, 255]),
        ([7e30, 7e30, 7e30], [0, 0, 0]),
        ([-3e38, 0.0, 3e38], [0, 128, 255]),
        ([np.nan, 0.5, 1.0], [128, 128, 255]),  # NaN becomes the smallest
        ([np.inf, 0.0, 0.5], [128, 0, 128]),
        ([-np.inf, 0.5, 1.0], [128, 128, 255]),
    ],
)
def test_floats(values, expected):
    image = Image.fromarray(np.array([values], np.float32))
    np.testing.assert_array_equal(pixels(encode(image, "TIFF"))[0, :, 0], expected)


def test_float_without_a_finite_value_is_refused():
    image = Image.fromarray(np.full((2, 2), np.nan, np.float32))
    with pytest.raises(DecodeError, match="no finite pixel values"):
        decode_image(encode(image, "TIFF"))


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])  # Adobe JPEGs store CMYK inverted, TIFFs not
@pytest.mark.parametrize(
    ("cmyk", "rgb"),
    [((0, 0, 0, 0), WHITE), ((0, 255, 255, 0), RED), ((0, 0, 0, 255), (0, 0, 0))],
)
def test_cmyk(format, cmyk, rgb):
    data = encode(Image.new("CMYK", (16, 16), cmyk), format)
    if format == "JPEG":
        assert b"Adobe" in data
    decoded = decode(data)
    assert decoded.mode == "CMYK"
    assert np.abs(np.asarray(decoded.image)[8, 8].astype(int) - rgb).max() <= 4


def test_palette():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    np.testing.assert_array_equal(pixels(encode(image, "PNG")), [[RED, BLUE]])


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_palette_with_transparency_is_composited_on_white(format):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    np.testing.assert_array_equal(pixels(encode(image, format, transparency=0)), [[WHITE, BLUE]])


def test_palette_with_partial_transparency():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    data = encode(image, "PNG", transparency=bytes([128, 255]))
    np.testing.assert_array_equal(pixels(data), [[(255, 127, 127), BLUE]])


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), WHITE),  # transparent red is white, not red
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (0, 0, 255, 51), (204, 204, 255)),
        ("LA", (0, 0), WHITE),
        ("LA", (0, 255), (0, 0, 0)),
        ("LA", (0, 51), (204, 204, 204)),
    ],
)
def test_alpha_is_composited_on_white(mode, colour, expected):
    decoded = pixels(encode(Image.new(mode, (3, 2), colour), "PNG"))
    np.testing.assert_array_equal(decoded, np.broadcast_to(expected, (2, 3, 3)))


def test_premultiplied_and_palette_alpha():
    from featx.data.colour import Scale, scaled_to_rgb

    grey = Image.new("LA", (1, 1), (0, 51)).convert("La")
    colour = Image.new("RGBA", (1, 1), (0, 0, 255, 51)).convert("RGBa")
    palette = Image.new("PA", (1, 1), (0, 0))
    for image, pixel in (
        (grey, (204, 204, 204)),
        (colour, (204, 204, 255)),
        (palette, WHITE),
    ):
        assert scaled_to_rgb(image, Scale())[0].getpixel((0, 0)) == pixel


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (Image.new("L", (2, 1), 7), {"transparency": 7}),
        (Image.new("RGB", (2, 1), RED), {"transparency": RED}),
    ],
)
def test_a_transparent_colour_becomes_white(image, options):
    np.testing.assert_array_equal(pixels(encode(image, "PNG", **options)), [[WHITE, WHITE]])


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey(mode):
    image = Image.new(mode, (2, 1))
    image.putdata([0, 255])
    np.testing.assert_array_equal(pixels(encode(image, "PNG")), [[(0, 0, 0), WHITE]])


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_animations_give_their_first_frame(format):
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    data = encode(frames[0], format, save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert np.abs(pixels(data)[8, 8].astype(int) - RED).max() <= 4


def test_multi_picture_jpeg_gives_its_first_picture():
    data = encode(
        Image.new("RGB", (16, 16), RED), "MPO",
        save_all=True, append_images=[Image.new("RGB", (16, 16), BLUE)],
    )  # fmt: skip
    assert np.abs(pixels(data)[8, 8].astype(int) - RED).max() <= 4


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_one_pixel(format):
    decoded = pixels(encode(Image.new("RGB", (1, 1), WHITE), format))
    np.testing.assert_array_equal(decoded, [[WHITE]])


@pytest.mark.parametrize(
    "format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM", "JPEG2000"]
)
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9])
def test_truncated_files_are_refused(format, kept):
    data = encode(noise(), format)
    with pytest.raises(DecodeError) as caught:
        decode_image(data[: int(len(data) * kept)])
    assert "0x" not in str(caught.value), "no address of an object in a reason"


def test_a_jpeg_that_ends_in_zeros_is_refused():
    # Pillow reads this without a word, its lower half grey.
    data = encode(noise(64, 64), "JPEG")
    stopped = data[: len(data) // 2] + bytes(len(data))
    Image.open(io.BytesIO(stopped)).load()
    with pytest.raises(DecodeError, match="truncated: the JPEG has no end marker"):
        decode_image(stopped)


def test_the_end_marker_of_a_thumbnail_does_not_count():
    thumbnail = encode(Image.new("RGB", (8, 8), RED), "JPEG")
    data = encode(noise(64, 64), "JPEG", exif=b"Exif\0\0" + thumbnail)
    stopped = data[: len(data) // 2] + bytes(len(data))
    assert b"\xff\xd9" in stopped
    with pytest.raises(DecodeError, match="no end marker"):
        decode_image(stopped)


def test_bytes_after_the_end_of_a_jpeg_are_fine():
    data = encode(noise(), "JPEG")
    np.testing.assert_array_equal(pixels(data + b"a motion photo's film"), pixels(data))


def test_an_empty_file_is_refused():
    with pytest.raises(DecodeError, match=r"^empty file \(0 bytes\)$"):
        decode_image(b"")


@pytest.mark.parametrize("data", [b"hello", b"<html></html>", b"%PDF-1.4", b"\0" * 1000])
def test_what_is_no_image_is_refused(data):
    with pytest.raises(DecodeError, match=r"(not an image|PDF).*; formats read"):
        decode_image(data)


@pytest.mark.parametrize("format", ["ICO", "PDF", "EPS", "TGA", "PCX", "ICNS"])
def test_formats_that_are_not_on_the_list_are_refused(format):
    with pytest.raises(DecodeError, match="formats read: JPEG, PNG"):
        decode_image(encode(Image.new("RGB", (32, 32), RED), format))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(header: bytes, raw: bytes, extra: bytes = b"") -> bytes:
    """A PNG written by hand."""
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("width", "height"),
    [(9460, 9460), (12_000, 12_000), (20_000, 20_000), (65_500, 65_500), (89_478_486, 1)],
)
def test_bombs_are_errors_before_any_pixel_is_decoded(width, height, monkeypatch):
    def decoded(*args: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decoded)
    data = png(struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"")
    with pytest.raises(DecodeError, match=r"too many pixels.*the limit is 89478485"):
        decode_image(data)


def test_the_pixel_limit_itself_is_allowed(monkeypatch):
    monkeypatch.setattr(pillow, "PIXEL_LIMIT", 64)
    decode_image(encode(Image.new("RGB", (8, 8)), "PNG"))
    with pytest.raises(DecodeError, match="too many pixels: 13 × 5; the limit is 64"):
        decode_image(encode(Image.new("RGB", (13, 5)), "PNG"))


def test_the_limit_is_featxs_own(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(DecodeError, match="too many pixels"):
        decode_image(png(struct.pack(">IIBBBBB", 9460, 9460, 8, 2, 0, 0, 0), b""))


def test_accepting_truncated_files_is_refused(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(UsageError, match="LOAD_TRUNCATED_IMAGES is set"):
        decode_image(encode(noise(), "PNG"))


@pytest.mark.parametrize("error", [ValueError, MemoryError, RecursionError, SyntaxError, KeyError])
def test_whatever_pillow_raises_becomes_a_decode_error(error, monkeypatch):
    def broken(self: object) -> None:
        raise error("odd\nthing")

    monkeypatch.setattr(ImageFile.ImageFile, "load", broken)
    with pytest.raises(DecodeError) as caught:
        decode_image(encode(noise(), "BMP"))
    assert "\n" not in caught.value.message


def test_interrupts_pass_through(monkeypatch):
    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageFile.ImageFile, "load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decode_image(encode(noise(), "BMP"))


@settings(deadline=None)
@given(st.data())
def test_damaged_bytes_decode_or_raise_decode_error(data):
    """Nothing else comes out of a damaged file: no other exception, no warning."""
    format = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM"]))
    broken = bytearray(encode(noise(12, 12), format))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(broken) - 1))
        broken[place] = data.draw(st.integers(0, 255))
    try:
        image = decode_image(bytes(broken))
    except DecodeError:
        return
    assert image.mode == "RGB"


def warning_tiff() -> bytes:
    """A TIFF that decodes although Pillow warns of one of its tags."""
    data = bytearray(encode(Image.new("L", (4, 4), 9), "TIFF", tiffinfo={305: "featx"}))
    at = data.find(struct.pack("<HH", 305, 2))
    data[at + 8 : at + 12] = struct.pack("<I", 0x7FFFFFFF)  # the text's offset, far past the end
    return bytes(data)


def test_pillows_warnings_do_not_leak_and_filters_are_restored():
    data = warning_tiff()
    with pytest.raises(UserWarning):  # the premise: plain Pillow warns
        Image.open(io.BytesIO(data)).load()
    before = list(warnings.filters)
    assert pixels(data)[0, 0, 0] == 9
    assert list(warnings.filters) == before


def test_threads_decode_alike_and_silently():
    data = [warning_tiff(), encode(noise(), "JPEG"), encode(noise(), "PNG")] * 40
    before = list(warnings.filters)
    expected = [pixels(one) for one in data[:3]]
    barrier = threading.Barrier(8)

    def work(part: int) -> list[np.ndarray]:
        barrier.wait()
        return [pixels(one) for one in data[part * 15 : part * 15 + 15]]

    with ThreadPoolExecutor(8) as pool:
        found = [array for part in pool.map(work, range(8)) for array in part]
    for i, array in enumerate(found):
        np.testing.assert_array_equal(array, expected[i % 3])
    assert list(warnings.filters) == before


def test_content_decides_not_the_extension():
    # A PNG named .jpg: decoding never sees a name, so that this is all there is to test.
    assert decode(encode(noise(), "PNG")).format == "PNG"


def test_the_policy_is_json_and_versioned():
    assert canonical_json(DECODE_POLICY)
    assert DECODE_POLICY["version"] == 2


def test_pillow_knows_every_format():
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)
    for format, extensions in FORMATS.items():
        for extension in extensions:
            assert Image.EXTENSION[extension] in {format, "MPO"}

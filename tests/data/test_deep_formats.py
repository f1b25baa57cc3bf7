"""Files of more or fewer than 8 bits in other formats than TIFF, against what their values mean."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from featx.data.decode import decode
from featx.errors import DecodeError

RANDOM = np.random.default_rng(0)
HEIGHT, WIDTH = 6, 8


def check(data: bytes, expected: np.ndarray, *, off_by: int = 0, deep: bool | None = None) -> None:
    found = decode(data)
    wanted = expected if expected.ndim == 3 else np.stack([expected] * 3, axis=-1)
    pixels = np.asarray(found.image).astype(int)
    assert pixels.shape == wanted.shape
    assert np.abs(pixels - wanted.astype(int)).max() <= off_by
    if deep is not None:
        assert (found.values is not None) == deep


@pytest.mark.parametrize("top", [1, 15, 100, 255, 1023, 4095, 65535])
def test_netpbm_is_scaled_by_its_largest_value(top):
    size = b"%d %d %d\n" % (WIDTH, HEIGHT, top)
    kind = ">u2" if top > 255 else "u1"
    grey = RANDOM.integers(0, top + 1, (HEIGHT, WIDTH))
    expected = np.rint(grey / top * 255)
    check(b"P5 " + size + grey.astype(kind).tobytes(), expected, deep=top > 255)
    check(b"P2 " + size + b" ".join(b"%d" % v for v in grey.ravel()), expected)
    colour = RANDOM.integers(0, top + 1, (HEIGHT, WIDTH, 3))
    check(b"P6 " + size + colour.astype(kind).tobytes(), np.rint(colour / top * 255))


@pytest.mark.parametrize(("order", "scale"), [("<", b"-1.0"), (">", b"1.0")])
def test_pfm_is_bottom_up_in_either_order(order, scale):
    values = RANDOM.random((HEIGHT, WIDTH)).astype(np.float32)
    data = b"Pf\n%d %d\n%b\n" % (WIDTH, HEIGHT, scale)
    data += values[::-1].astype(f"{order}f4").tobytes()
    check(data, np.rint(values * 255), deep=True)


def bmp(bits: int, pixels: np.ndarray, masks: tuple[int, ...] = ()) -> bytes:
    body, extra = pixels[::-1].tobytes(), struct.pack(f"<{len(masks)}I", *masks)
    header = struct.pack(
        "<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, bits, 3 if masks else 0, len(body), 0, 0, 0, 0
    )
    start = 14 + len(header) + len(extra)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + header + extra + body


def test_bmp_of_16_and_32_bits_is_8_bit_colour():
    five = RANDOM.integers(0, 2**15, (HEIGHT, WIDTH)).astype("<u2")
    channels = [(five >> shift) & 31 for shift in (10, 5, 0)]
    check(bmp(16, five), np.stack(channels, -1) * 255 / 31, off_by=1, deep=False)
    six = RANDOM.integers(0, 2**16, (HEIGHT, WIDTH)).astype("<u2")
    expected = np.stack(
        [(six >> 11) * 255 / 31, (six >> 5 & 63) * 255 / 63, (six & 31) * 255 / 31], -1
    )
    check(bmp(16, six, (0xF800, 0x7E0, 0x1F)), expected, off_by=1, deep=False)
    full = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    check(bmp(32, full), full[..., 2::-1], deep=False)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_jpeg_2000_of_more_than_8_bits(bits):
    codecs = pytest.importorskip("imagecodecs")
    options = {"bitspersample": bits, "level": 0, "reversible": True}
    dtype = np.uint8 if bits == 8 else np.uint16
    top = 2**bits - 1
    grey = RANDOM.integers(0, top + 1, (64, 64)).astype(dtype)
    check(codecs.jpeg2k_encode(grey, **options), np.rint(grey / top * 255), off_by=1)
    colour = np.full((64, 64, 3), top, dtype)
    data = codecs.jpeg2k_encode(colour, **options)
    if bits == 8:
        check(data, colour)
    else:  # Pillow makes black of it
        with pytest.raises(DecodeError, match=f"3 channels of {bits} bits is not read"):
            decode(data)


def test_avif_of_10_bits_has_its_high_bits():
    codecs = pytest.importorskip("imagecodecs")
    ramp = (np.add.outer(np.arange(64), np.arange(64)) * 8).astype(np.uint16)
    colour = np.stack([ramp, ramp[::-1], ramp.T], axis=-1)
    try:
        data = codecs.avif_encode(colour, bitspersample=10, level=100)
    except Exception as error:  # built without an encoder
        pytest.skip(str(error))
    check(data, colour >> 2, off_by=2)

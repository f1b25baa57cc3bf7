"""TIFF files against an independent reader: the same pixels, or a refusal that names the kind."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from featx.data.decode import decode, decode_image
from featx.errors import DecodeError

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("imagecodecs")

HEIGHT, WIDTH = 24, 20
DTYPES = [
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
    "float16", "float32", "float64",
]  # fmt: skip
LAYOUTS = [("minisblack", None), ("miniswhite", None), ("rgb", "contig"), ("rgb", "separate")]
COMPRESSIONS = [(None, 1), ("zlib", 1), ("zlib", 2), ("lzw", 1), ("lzw", 2), ("packbits", 1)]
PARTS = [{}, {"rowsperstrip": 5}, {"tile": (16, 16)}]


def values(dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    random = np.random.default_rng(5)
    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(bool)
    if dtype.kind == "f":
        return random.random(shape).astype(dtype)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def write(array: np.ndarray, byteorder: str = "<", **options: object) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, byteorder=byteorder) as writer:
        writer.write(array, metadata=None, **options)
    return stream.getvalue()


def as_documented(array: np.ndarray) -> np.ndarray:
    """What docs/datasets.md says of these values."""
    if array.dtype == bool:
        return array * np.uint8(255)
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16 and array.ndim == 3:
        return (array >> 8).astype(np.uint8)
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f":
        low, high = (0, 1) if low >= 0 and high <= 1 else (low, high)
    elif low >= 0 and high <= 65535:
        low, high = 0, 65535
    return np.rint((array.astype(float) - low) / (high - low) * 255).astype(np.uint8)


def check(data: bytes) -> str:
    """``right`` or why it was refused; fails where the pixels are others."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        array = page.asarray()
        if page.samplesperpixel > 1 and page.planarconfig == 2:
            array = np.moveaxis(array, 0, -1)
        expected = as_documented(array)
        if page.photometric == 0:
            expected = 255 - expected
    try:
        found = np.asarray(decode_image(data))
    except DecodeError as error:
        return error.message
    if expected.ndim == 2:
        expected = np.stack([expected] * 3, axis=-1)
    np.testing.assert_array_equal(found, expected[..., :3])
    return "right"


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_kind_is_right_or_refused_by_name(dtype, layout):
    photometric, planes = layout
    array = values(np.dtype(dtype), (HEIGHT, WIDTH))
    if planes is not None:
        array = values(np.dtype(dtype), (HEIGHT, WIDTH, 3))
        array = np.moveaxis(array, -1, 0) if planes == "separate" else array
    outcomes = set()
    for order, (compression, predictor), parts in itertools.product("<>", COMPRESSIONS, PARTS):
        options = {**parts, "photometric": photometric, "compression": compression}
        if planes is not None:
            options["planarconfig"] = planes
        if predictor == 2:
            options["predictor"] = True  # of floats it is the third
        try:
            data = write(array, order, **options)
        except (ValueError, NotImplementedError):  # tifffile cannot write that
            continue
        outcomes.add(check(data))
    read = "right" in outcomes
    for outcome in outcomes - {"right"}:
        assert outcome.startswith("TIFF with "), outcome
        assert str(8 * np.dtype(dtype).itemsize if dtype != "bool" else 1) in outcome
        assert "is not read" in outcome
    assert read == (
        dtype in ("uint8", "uint16")
        or (dtype in ("bool", "float32") and photometric != "rgb")
        or (dtype in ("int16", "int32") and photometric == "minisblack")
    )


def test_a_refusal_names_bits_sign_colours_and_planes():
    array = values(np.dtype("float32"), (3, HEIGHT, WIDTH))
    data = write(array, photometric="rgb", planarconfig="separate")
    message = "TIFF with 32-bit float values (RGB, 3 samples, separate planes) is not read"
    assert check(data).startswith(message)


def test_unsigned_values_beyond_pillows_are_refused_and_others_read():
    small = values(np.dtype("uint32"), (HEIGHT, WIDTH)) // 4
    assert check(write(small, photometric="minisblack")) == "right"
    large = small.copy()
    large[3, 4] = 2**31
    outcome = check(write(large, photometric="minisblack"))
    assert outcome == "TIFF with 32-bit unsigned values (grey) above 2147483647 is not read"


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_few_bits(bits, photometric):
    array = np.random.default_rng(0).integers(0, 2**bits, (HEIGHT, WIDTH), np.uint8)
    try:
        data = write(array, photometric=photometric, bitspersample=bits)
    except ValueError:
        pytest.skip("tifffile does not write it")
    expected = np.rint(array * (255 / (2**bits - 1))).astype(np.uint8)
    expected = 255 - expected if photometric == "miniswhite" else expected
    np.testing.assert_array_equal(np.asarray(decode_image(data))[..., 0], expected)


def test_twelve_packed_bits_have_their_own_white():
    array = np.random.default_rng(0).integers(0, 4096, (HEIGHT, WIDTH), np.uint16)
    data = write(array, photometric="minisblack", bitspersample=12)
    found = np.asarray(decode_image(data))[..., 0]
    np.testing.assert_array_equal(found, np.rint(array / 4095 * 255).astype(np.uint8))


@pytest.mark.parametrize("samples", [4, 5])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_extra_samples_that_are_no_alpha_are_left_out(samples, dtype, compression, planes):
    array = values(np.dtype(dtype), (HEIGHT, WIDTH, samples))
    array = np.moveaxis(array, -1, 0) if planes == "separate" else array
    extra = ["unspecified"] * (samples - 3)
    options = {"planarconfig": planes, "compression": compression, "extrasamples": extra}
    outcome = check(write(np.ascontiguousarray(array), photometric="rgb", **options))
    assert outcome == "right" or outcome.startswith("TIFF with ")


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_alpha_is_composited_on_white(dtype, planes):
    array = values(np.dtype(dtype), (HEIGHT, WIDTH, 4))
    array[..., 3] = np.iinfo(dtype).max
    array[5, 6, 3] = 0
    laid = np.moveaxis(array, -1, 0) if planes == "separate" else array
    options = {"planarconfig": planes, "extrasamples": ["unassalpha"]}
    data = write(np.ascontiguousarray(laid), photometric="rgb", **options)
    found = np.asarray(decode_image(data))
    expected = as_documented(array)[..., :3].copy()
    expected[5, 6] = 255
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("mode", ["1", "L", "I;16", "I", "F", "P"])
@pytest.mark.parametrize("white", [0, 1])
def test_a_single_plane_that_is_called_separate(mode, white, compression):
    # As GDAL writes one band with INTERLEAVE=BAND.
    image = Image.fromarray(values(np.dtype("uint8"), (HEIGHT, WIDTH)))
    if mode in ("I;16", "I", "F"):
        array = np.asarray(image).astype({"I;16": "u2", "I": "i4", "F": "f4"}[mode])
        image = Image.fromarray(array * 200)
    image = image.quantize() if mode == "P" else image.convert(mode)
    found = []
    for planes in (1, 2):
        stream = io.BytesIO()
        tags = {284: planes} if mode == "P" else {284: planes, 262: white}
        image.save(stream, "TIFF", compression=compression, tiffinfo=tags)
        try:
            found.append(np.asarray(decode_image(stream.getvalue())))
        except DecodeError as error:
            found.append(np.asarray(str(error)))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_separate_planes_of_16_bits_are_turned(orientation):
    array = values(np.dtype("uint16"), (3, HEIGHT, WIDTH))
    data = write(array, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    upright = np.rot90((array >> 8).transpose(1, 2, 0), {1: 0, 3: 2, 6: -1}[orientation])
    np.testing.assert_array_equal(np.asarray(decode_image(data)), upright)


def test_palette_and_cmyk_and_first_page():
    indices = values(np.dtype("uint8"), (HEIGHT, WIDTH))
    colours = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16) * 257
    found = decode_image(write(indices, photometric="palette", colormap=colours))
    expected = np.moveaxis(colours[:, indices] // 257, 0, -1)
    np.testing.assert_array_equal(np.asarray(found), expected)
    cmyk = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    cmyk[..., 3] = 100
    for planes in ("contig", "separate"):
        laid = np.ascontiguousarray(np.moveaxis(cmyk, -1, 0)) if planes == "separate" else cmyk
        data = write(laid, photometric="separated", planarconfig=planes)
        assert np.asarray(decode_image(data))[0, 0].tolist() == [155, 155, 155]
    pages = np.stack([indices, 255 - indices])
    found = np.asarray(decode_image(write(pages, photometric="minisblack")))[..., 0]
    np.testing.assert_array_equal(found, indices)


def test_subsampled_uncompressed_colours_are_refused():
    image = Image.fromarray(values(np.dtype("uint8"), (16, 16, 3))).convert("YCbCr")
    stream = io.BytesIO()
    image.save(stream, "TIFF")
    assert decode(stream.getvalue()).mode == "YCbCr"
    stream = io.BytesIO()
    image.save(stream, "TIFF", tiffinfo={530: (2, 2)})
    with pytest.raises(DecodeError, match=r"YCbCr, 3 samples.*subsampled, is not read"):
        decode(stream.getvalue())


@pytest.mark.parametrize("order", "<>")
def test_big_tiffs(order):
    array = values(np.dtype("uint16"), (HEIGHT, WIDTH))
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, bigtiff=True, byteorder=order) as writer:
        writer.write(array, metadata=None, photometric="minisblack", compression="zlib")
    outcome = check(stream.getvalue())
    assert outcome.startswith(
        "right" if order == "<" else "BigTIFF in big-endian order is not read"
    )

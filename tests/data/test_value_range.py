"""Images of more than 8 bits: which values become black and white."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from featx.data.colour import Values
from featx.data.decode import decode
from featx.data.pixels import read_pixels
from featx.data.valuerange import narrow_range, range_of_files
from featx.errors import DecodeError, UsageError
from featx.types import BackboneRequest, Preprocess, parse_range, range_text


def encode(array: np.ndarray, format: str = "TIFF", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format, **options)
    return stream.getvalue()


def grey(data: bytes, range: str = "full") -> list[int]:
    return np.asarray(decode(data, range=range).image)[0, :, 0].tolist()


def png16(array: np.ndarray, colour: int) -> bytes:
    """A PNG of 16 bits a channel; Pillow writes none with colours."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        summed = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + summed

    height, width = array.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("full", None),
        ("0-4095", (0, 4095)),
        ("-100-400", (-100, 400)),
        ("-400--100", (-400, -100)),
        ("0.25-1e3", (0.25, 1000)),
        ("1e-5-2e-5", (1e-5, 2e-5)),
    ],
)
def test_ranges_are_read(text, ends):
    assert parse_range(text) == ends
    if ends is not None:
        assert parse_range(range_text(*ends)) == ends


@pytest.mark.parametrize("text", ["", "4095", "4095-0", "5-5", "a-b", "0-nan", "0-1e999", "0,5-1"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ValueError, match="is not a range of pixel values"):
        parse_range(text)


def test_a_range_is_part_of_the_fingerprint_and_full_is_as_ever():
    assert "range" not in Preprocess().document()
    assert "range" not in BackboneRequest("featx:mini-v1").document()
    ranged = Preprocess(range="0-4095")
    assert ranged.document()["range"] == "0-4095"
    assert Preprocess.from_document(ranged.document()) == ranged
    request = BackboneRequest("featx:mini-v1", range="0-4095")
    assert BackboneRequest.from_document(request.document()) == request


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_integers_are_mapped_linearly_and_clipped(format):
    data = encode(np.array([[0, 100, 1100, 2100, 65535]], np.uint16), format)
    assert grey(data, "100-2100") == [0, 0, 128, 255, 255]
    assert decode(data).values == Values(0, 65535, (0.4, pytest.approx(65281, abs=1)))


def test_signed_integers_and_floats_are_mapped_too():
    assert grey(encode(np.array([[-500, 0, 500]], np.int32)), "-500-500") == [0, 128, 255]
    floats = np.array([[-1, 0.5, 2, np.nan, np.inf, -np.inf]], np.float32)
    assert grey(encode(floats), "0-1") == [0, 128, 255, 0, 255, 0]


def test_8_bits_know_no_range():
    data = encode(np.array([[0, 100, 255]], np.uint8), "PNG")
    assert grey(data, "0-100") == [0, 100, 255]
    assert decode(data).values is None


@pytest.mark.parametrize("kind", ["png", "png alpha", "tiff", "tiff zlib"])
def test_16_bit_colours_have_all_their_bits(kind):
    values = np.random.default_rng(0).integers(0, 1024, (6, 7, 3)).astype(np.uint16)
    if kind == "png":
        data = png16(values, 2)
    elif kind == "png alpha":
        data = png16(np.concatenate([values, np.full((6, 7, 1), 65535)], axis=2), 6)
    else:
        tifffile = pytest.importorskip("tifffile")
        stream = io.BytesIO()
        compression = "zlib" if kind == "tiff zlib" else None
        tifffile.imwrite(stream, values, photometric="rgb", compression=compression)
        data = stream.getvalue()
    expected = np.rint(values / 1023 * 255).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(decode(data, range="0-1023").image), expected)
    assert "10 bits" in str(narrow_range([decode(data).values]))


def test_16_bit_colours_that_cannot_be_told_apart_are_refused():
    data = png16(np.full((4, 4, 2), 300, np.uint16), 4)  # grey with alpha
    assert decode(data).mode == "RGBA"
    with pytest.raises(DecodeError, match="beside grey's alpha are read with --range full only"):
        decode(data, range="0-1023")
    planes = np.arange(3 * 16 * 16, dtype=np.uint16).reshape(3, 16, 16)
    stream = io.BytesIO()
    pytest.importorskip("tifffile").imwrite(stream, planes, photometric="rgb")
    assert decode(stream.getvalue()).mode == "RGB"
    with pytest.raises(DecodeError, match="16-bit colours in separate planes"):
        decode(stream.getvalue(), range="0-1023")


LOWEST = np.finfo(np.float32).min


@pytest.mark.parametrize(
    ("values", "nodata", "expected"),
    [
        (np.array([[LOWEST, 100, 300, 500]], np.float32), None, [0, 0, 128, 255]),
        (np.array([[-3.4e38, 0.5, 1.0]], np.float32), None, [128, 128, 255]),
        (np.array([[3.4e38, 0.5, 1.0]], np.float32), None, [128, 128, 255]),
        (np.array([[-9999, 100, 300, 500]], np.float32), "-9999", [0, 0, 128, 255]),
        (np.array([[-9999, 100, 300, 500]], np.int32), "-9999", [0, 0, 1, 2]),
        (np.array([[0, 100, 300, 70500]], np.int32), "0", [0, 0, 1, 255]),
        (np.array([[65535, 25700, 51400]], np.uint16), "65535", [100, 100, 200]),
        (np.array([[5, 25700, 51400]], np.uint16), "nan", [0, 100, 200]),
        (np.array([[5, 25700, 51400]], np.uint16), "-1e5", [0, 100, 200]),
        (np.array([[5, 25700, 51400]], np.uint16), "none", [0, 100, 200]),
    ],
)
def test_values_that_stand_for_none_change_nothing_else(values, nodata, expected):
    tags = {} if nodata is None else {42113: nodata}
    assert grey(encode(values, tiffinfo=tags)) == expected


def test_an_image_without_a_value_is_refused():
    for array in (np.full((2, 2), LOWEST), np.full((2, 2), 7)):
        data = encode(array.astype(np.float32), tiffinfo={42113: "7"})
        with pytest.raises(DecodeError, match="no finite pixel values"):
            decode(data)


def files(folder, arrays) -> list[str]:
    paths = []
    for k, array in enumerate(arrays):
        paths.append(str(folder / f"{k}.tif"))
        (folder / f"{k}.tif").write_bytes(encode(array))
    return paths


@pytest.mark.parametrize(
    ("highest", "found"),
    [(200, "0-255"), (1023, "0-1023"), (1024, "0-4095"), (4095, "0-4095"), (16383, "0-16383")],
)
def test_auto_is_the_smallest_number_of_bits_that_holds_all(tmp_path, highest, found):
    arrays = [np.array([[0, 5]], np.uint16), np.array([[3, highest]], np.uint16)]
    assert range_of_files(files(tmp_path, arrays))[0] == found


def test_auto_where_nothing_is_to_be_done(tmp_path):
    sixteen = files(tmp_path, [np.array([[0, 40000]], np.uint16)])
    assert range_of_files(sixteen)[0] == "full"
    eight = files(tmp_path, [np.array([[0, 255]], np.uint8)])
    assert range_of_files([*eight, str(tmp_path / "missing.tif")])[0] == "full"
    assert range_of_files([])[0] == "full"


def test_auto_of_floats_is_not_decided_by_single_pixels(tmp_path):
    array = np.linspace(10, 20, 100_000, dtype=np.float32).reshape(250, 400)
    array[0, 0], array[0, 1] = 1e6, -1e6
    low, high = parse_range(range_of_files(files(tmp_path, [array, array + 5]))[0])
    assert 10 <= low < 10.1
    assert 24.9 < high <= 25


def test_auto_of_signed_integers_is_from_the_smallest_to_the_largest(tmp_path):
    paths = files(tmp_path, [np.array([[-7, 5]], np.int32), np.array([[0, 90]], np.int32)])
    assert range_of_files(paths)[0] == "-7-90"


def test_auto_of_integers_and_floats_is_refused(tmp_path):
    paths = files(tmp_path, [np.array([[0, 900]], np.uint16), np.array([[0, 1]], np.float32)])
    with pytest.raises(UsageError, match="some hold floats and some integers"):
        range_of_files(paths)


def test_narrow_ranges_are_said():
    twelve = Values(0, 4095, (0, 4095))
    assert narrow_range([twelve, None, twelve]) == (
        "These 2 files hold 16-bit values but use only 0..4095 (12 bits), so the images come out "
        "dark; use --range auto."
    )
    assert narrow_range([twelve]).startswith("This file holds 16-bit values but uses only")
    assert narrow_range([twelve, Values(0, 60000, (0, 60000))]) is None
    assert narrow_range([None]) is None
    assert narrow_range([Values(0, 0.5, (0, 0.5), floats=True)]) is None


def test_the_network_sees_the_range():
    data = encode(np.full((40, 40), 4095, np.uint16), "PNG")
    assert read_pixels(data, Preprocess((8, 8), range="0-4095")).min() == 255
    assert read_pixels(data, Preprocess((8, 8))).max() == 16

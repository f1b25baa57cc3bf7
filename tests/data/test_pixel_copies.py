"""Who is a copy of whom."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

import featx.data.hashing
from featx.data.copies import copies_sentence, copy_codes, equal_sets
from featx.data.decode import decode_image
from featx.data.hashing import pixel_hash
from featx.data.splits import make_folds


def digests(values: list[int], width: int) -> np.ndarray:
    """Number -> hash; 0 is all zeros."""
    return np.array([[v % 256, v // 256] + [0] * (width - 2) for v in values], np.uint8)


IMAGES = st.lists(
    st.tuples(st.integers(1, 12), st.integers(0, 8), st.integers(0, 3)), min_size=1, max_size=30
)


def linked(one: tuple[int, int, int], other: tuple[int, int, int], lost: set[int]) -> bool:
    """Directly: equal bytes, equal pixels, or equal embeddings that a row without a hash has."""
    return one[0] == other[0] or one[1] == other[1] != 0 or (one[2] == other[2] and one[2] in lost)


@given(images=IMAGES)
@settings(max_examples=200, deadline=None)
def test_copies_are_linked_through_any_number_of_others(images: list) -> None:
    hashes, pixels, embedded = zip(*images, strict=True)
    X = np.array(embedded, np.float32)[:, None]
    codes = copy_codes(digests(list(hashes), 32), digests(list(pixels), 16), [X])
    lost = {e for _, p, e in images if p == 0}
    together = np.array([[linked(a, b, lost) for b in images] for a in images])
    for _ in images:  # the transitive closure, plainly
        together = together | (together @ together)
    np.testing.assert_array_equal(codes[:, None] == codes, together)


@given(images=IMAGES, seed=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_no_two_folds_share_an_image(images: list, seed: int) -> None:
    hashes, pixels, _ = zip(*images, strict=True)
    more = 40  # images that are copies of nobody, so that folds can be made
    hashes, pixels = [*hashes, *range(100, 100 + more)], [*pixels, *range(100, 100 + more)]
    codes = copy_codes(digests(hashes, 32), digests(pixels, 16))
    y = np.arange(len(codes)) % 2
    fold = make_folds(y, codes, ["a", "b"], n_folds=3, seed=seed).fold
    for values in (np.array(hashes), np.array(pixels)):
        for value in set(values[values > 0].tolist()):
            assert len(set(fold[values == value])) == 1


def test_equal_embeddings_of_different_pixels_make_no_copies() -> None:
    X = np.zeros((2, 4), np.float32)
    assert copy_codes(digests([1, 2], 32), digests([1, 2], 16), [X]).tolist() == [0, 1]
    assert copy_codes(digests([1, 2], 32), digests([1, 0], 16), [X]).tolist() == [0, 0]


def test_sets_say_what_they_lie_across() -> None:
    codes = np.array([0, 0, 1, 2, 2, 2])
    sets = equal_sets(
        codes,
        digests([1, 1, 2, 3, 4, 4], 32),
        [*"aaabb", None],
        ["test"] * 3 + [None, "train", None],
    )
    assert [(s.rows, s.equal_files, s.across_classes, s.across_splits) for s in sets] == [
        ((0, 1), True, False, False),
        ((3, 4, 5), False, False, False),
    ]
    assert copies_sentence([]) == "Exact copies: none"
    assert "2 sets (5 images), 1 of equal files and 1 of equal pixels" in copies_sentence(sets)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def recodings(image: Image.Image) -> dict[str, bytes]:
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "again")
    exif = Image.Exif()
    exif[0x0112] = 8
    turned = image.transpose(Image.Transpose.ROTATE_270)
    return {
        "png": encoded(image, "PNG"),
        "png with a comment": encoded(image, "PNG", pnginfo=note, compress_level=1),
        "bmp": encoded(image, "BMP"),
        "webp": encoded(image, "WEBP", lossless=True),
        "tiff": encoded(image, "TIFF", compression="tiff_lzw"),
        "turned tiff": encoded(turned, "TIFF", exif=exif.tobytes()),
        "turned png": encoded(turned, "PNG", exif=exif.tobytes()),
        "opaque": encoded(image.convert("RGBA"), "PNG"),
    }


@given(seed=st.integers(0, 10**6), width=st.integers(1, 40), height=st.integers(1, 40))
@settings(max_examples=15, deadline=None)
def test_the_same_picture_in_other_files_has_the_same_hash(
    seed: int, width: int, height: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = {
        name: pixel_hash(decode_image(data))
        for name, data in recodings(Image.fromarray(pixels)).items()
    }
    assert set(found.values()) == {pixel_hash(Image.fromarray(pixels))}, found
    changed = pixels.copy()
    changed[seed % height, seed % width, seed % 3] ^= 1
    assert pixel_hash(Image.fromarray(changed)) != found["png"]


def test_size_counts_and_large_images_are_hashed_in_strips(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flat = np.arange(2 * 6 * 3, dtype=np.uint8)
    shapes = [(2, 6), (6, 2), (3, 4), (12, 1)]
    images = [Image.fromarray(flat.reshape(*shape, 3)) for shape in shapes]
    whole = [pixel_hash(image) for image in images]
    assert len(set(whole)) == len(shapes)
    for at_once in (1, 5, 7):
        monkeypatch.setattr(featx.data.hashing, "_AT_ONCE", at_once)
        assert [pixel_hash(image) for image in images] == whole

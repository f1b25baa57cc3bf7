"""Digests of training images: found whatever the file, kept with the model, refused if altered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from featx.artifact import Model, load_model, save_model
from featx.artifact.seen import Seen
from featx.errors import ModelError

RNG = np.random.default_rng(0)


def digests(n: int, width: int) -> np.ndarray:
    return RNG.integers(1, 256, (n, width), dtype=np.uint8)


def test_copies_are_found_by_pixels_or_by_files() -> None:
    hashes, pixels = digests(6, 32), digests(6, 16)
    pixels[4:] = 0  # of an older cache
    seen = Seen.of(np.concatenate([hashes, hashes[:2]]), np.concatenate([pixels, pixels[:2]]))
    assert len(seen) == 6
    assert seen.holds(hashes, pixels).all()
    other = digests(6, 32)
    assert seen.holds(other, pixels).tolist() == [True] * 4 + [False] * 2
    assert not seen.holds(other, np.zeros((6, 16), np.uint8)).any()  # zeros are no digest
    assert not seen.holds(digests(50, 32), digests(50, 16)).any()
    assert seen.holds(other[:0], pixels[:0]).shape == (0,)


def test_it_comes_back_from_its_file_and_nothing_else_does() -> None:
    seen = Seen.of(digests(5, 32), digests(5, 16))
    data = seen.encode()
    assert len(data) < 400  # 16 bytes an image
    again = Seen.decode(data, n_seen=5, source="m")
    np.testing.assert_array_equal(again.pixels, seen.pixels)
    for bad, message in (
        (save({**load(data), "pixels": digests(5, 15)}), "malformed"),
        (save({"pixels": seen.pixels}), "malformed"),
        (data[:-3], "not safetensors"),
    ):
        with pytest.raises(ModelError, match=message):
            Seen.decode(bad, n_seen=5, source="m")
    with pytest.raises(ModelError, match=r"are 5, but model\.json says 6"):
        Seen.decode(data, n_seen=6, source="m")


@pytest.mark.parametrize("name", ["m", "m.featx"])
def test_it_travels_with_the_model(
    make_model: Callable[..., Model], tmp_path: Path, name: str
) -> None:

    seen = Seen.of(digests(5, 32), digests(5, 16))
    save_model(make_model(seen=seen), tmp_path / name)
    again = load_model(tmp_path / name)
    assert again.seen is not None
    np.testing.assert_array_equal(again.seen.pixels, seen.pixels)
    save_model(make_model(), tmp_path / f"without-{name}")
    assert load_model(tmp_path / f"without-{name}").seen is None

"""`featx.ImageEmbedder`: a transformer of scikit-learn with the numbers of `featx extract`."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

import featx
from featx.adapters import _kept
from featx.errors import ConfigError, DecodeError, UnknownNameError, UsageError
from featx.extraction import reading
from tests.adapters.conftest import SETTINGS


@pytest.fixture
def embedder() -> featx.ImageEmbedder:
    return featx.ImageEmbedder(**SETTINGS)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each image that is decoded; networks kept by earlier tests are let go."""
    monkeypatch.setattr(_kept, "_kept", type(_kept._kept)())
    found: list[int] = []
    decode = reading.decode

    def counting(data: bytes, **options: Any) -> Any:
        found.append(len(data))
        return decode(data, **options)

    monkeypatch.setattr(reading, "decode", counting)
    return found


def test_numbers_are_those_of_extract(
    embedder: featx.ImageEmbedder, photos: Path, paths: list[Path], tmp_path: Path
) -> None:
    """Bit for bit, from files, from Pillow's images and from arrays, in any company."""
    expected = featx.extract(photos, cache=str(tmp_path / "cache"), **SETTINGS).X
    np.testing.assert_array_equal(embedder.fit_transform(paths), expected)
    np.testing.assert_array_equal(embedder.transform([str(p) for p in paths]), expected)
    images = [Image.open(path) for path in paths]
    np.testing.assert_array_equal(embedder.transform(images), expected)
    arrays = [np.asarray(image) for image in images]
    np.testing.assert_array_equal(embedder.transform(arrays), expected)
    np.testing.assert_array_equal(embedder.transform(arrays[3]), expected[3:4])
    np.testing.assert_array_equal(embedder.transform(paths[2]), expected[2:3])
    np.testing.assert_array_equal(embedder.transform(np.stack(arrays[:1] * 2)), expected[[0, 0]])
    frame = pd.DataFrame({"path": [str(p) for p in paths]})
    np.testing.assert_array_equal(embedder.transform(frame), expected)
    np.testing.assert_array_equal(embedder.transform(frame["path"]), expected)
    cached = featx.ImageEmbedder(**SETTINGS, cache=tmp_path / "cache")
    np.testing.assert_array_equal(cached.transform(paths[::-1]), expected[::-1])
    assert embedder.transform([]).shape == (0, expected.shape[1])


@pytest.mark.parametrize("kind", ["P", "1", "L", "LA", "RGBA", "CMYK", "I;16", "I", "F", "turned"])
def test_images_of_every_mode_are_read_as_their_files(
    embedder: featx.ImageEmbedder, paths: list[Path], tmp_path: Path, kind: str
) -> None:
    image = Image.open(paths[0])
    exif = Image.Exif()
    if kind == "turned":
        exif[0x0112] = 6
    elif kind in ("I;16", "I", "F"):
        wide = np.asarray(image.convert("L")).astype(
            {"F": np.float32, "I": np.int32}.get(kind, "<u2")
        )
        image = Image.fromarray(wide * (1 if kind == "F" else 200))
    elif kind == "RGBA":
        image.putalpha(image.convert("L"))
    else:
        image = image.convert(kind)
    path = tmp_path / ("a.tif" if kind in ("CMYK", "I", "F") else "a.png")
    image.save(path, exif=exif)
    with Image.open(path) as opened:
        assert opened.mode == ("RGB" if kind == "turned" else kind)
        np.testing.assert_array_equal(embedder.transform([opened]), embedder.transform([path]))


def test_a_pipeline_fits_and_a_search_finds_the_layer_embedding_each_image_once(
    embedder: featx.ImageEmbedder, paths: list[Path], labels: list[str], decoded: list[int]
) -> None:
    pipe = make_pipeline(embedder, StandardScaler(), LogisticRegression())
    assert pipe.fit(paths, labels).score(paths, labels) == 1
    n = len(decoded)
    assert n == len(paths)
    grid = {"imageembedder__layer": [None, "layer1", ["layer2", "layer3"]]}
    search = GridSearchCV(pipe, grid, cv=featx.LeakFreeKFold(3))
    search.fit(paths, labels)
    assert search.best_score_ > 0.9
    assert len(decoded) == n * 3  # the first layer is known from the pipeline
    assert search.best_estimator_.predict(paths[:1]) == labels[:1]


def test_a_cache_is_used_and_filled(
    photos: Path, paths: list[Path], tmp_path: Path, decoded: list[int]
) -> None:
    cached = featx.ImageEmbedder(**SETTINGS, cache=str(tmp_path / "cache"))
    X = cached.transform(paths)
    extraction = featx.extract(photos, cache=str(tmp_path / "cache"), **SETTINGS)
    assert extraction.report.computed == 0
    n = len(decoded)
    np.testing.assert_array_equal(clone(cached).transform(paths), X)
    assert len(decoded) == n


def test_it_is_cloned_and_pickled_by_its_parameters(
    embedder: featx.ImageEmbedder, paths: list[Path]
) -> None:
    X = embedder.fit_transform(paths)
    data = pickle.dumps(embedder)
    assert len(data) < 2000
    again = pickle.loads(data)  # noqa: S301 - bytes of this very process
    assert again.get_params() == embedder.get_params() == clone(embedder).get_params()
    np.testing.assert_array_equal(again.transform(paths), X)
    assert repr(featx.ImageEmbedder("featx:mini-v1")) == "ImageEmbedder(backbone='featx:mini-v1')"


def test_frames_come_out_where_they_are_asked_for(
    embedder: featx.ImageEmbedder, paths: list[Path]
) -> None:
    names = embedder.get_feature_names_out()
    frame = embedder.set_output(transform="pandas").transform(paths[:2])
    assert list(frame.columns) == list(names)
    assert names[0] == "imageembedder0"
    assert frame.shape == (2, len(names))


def test_what_cannot_be_read_is_named(
    embedder: featx.ImageEmbedder, paths: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(paths[0].read_bytes()[:200])
    with pytest.raises(DecodeError, match=r"Image 1 \('.*broken.png'\) cannot be read: truncated"):
        embedder.transform([paths[0], broken])
    with pytest.raises(DecodeError, match=r"Image 0 \('nix.png'\) .* file not found.* 1 more"):
        embedder.transform(["nix.png", paths[0], broken])
    with pytest.raises(DecodeError, match=r"Image 1 cannot be read"), Image.open(broken) as image:
        embedder.transform([paths[0], image])
    with pytest.raises(DecodeError, match="rglob"):
        embedder.transform(tmp_path)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 8, 8, 3)), r"Image 0 is an array of float64 of shape \(8, 8, 3\).*\* 255"),
        (np.zeros((4, 4), np.uint8), r"given as an array of uint8 of shape \(4, 4\)"),
        ([np.zeros((4, 4), np.uint8)], r"Image 0 .*\(4, 4\).*np.stack"),
        ([np.zeros((3, 9, 9), np.uint8)], r"transpose\(1, 2, 0\)"),
        ([np.zeros((9, 9, 4), np.uint8)], "fromarray"),
        ([np.zeros((0, 9, 3), np.uint8)], "Image 0"),
        (["a.png", 7], "Image 1 is a int"),
        ([b"abc"], "Image 0 is a bytes"),
        (7, "given as a int"),
        (None, "given as a NoneType"),
    ],
)
def test_what_is_no_image_is_named(embedder: featx.ImageEmbedder, images: Any, words: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){words}"):
        embedder.transform(images)
    with pytest.raises(UsageError):
        embedder.fit(images)


def test_parameters_are_checked_by_fit(paths: list[Path]) -> None:
    with pytest.raises(ConfigError, match="size"):
        featx.ImageEmbedder("featx:mini-v1", size="big").fit(paths)
    with pytest.raises(UnknownNameError, match="backbone source 'zoo'"):
        featx.ImageEmbedder("zoo:net").fit(paths)
    with pytest.raises(ConfigError, match="GridSearchCV over imageembedder__layer"):
        featx.ImageEmbedder("featx:mini-v1", layer="auto").fit(paths)
    with pytest.raises(ConfigError, match="range='auto'"):
        featx.ImageEmbedder("featx:mini-v1", range="auto").fit(paths)


class RowsAsImages(featx.ImageEmbedder):
    """Turns each row of numbers into an image of 1 × 8 px, so that scikit-learn can check it."""

    def fit(self, X: Any, y: Any = None) -> RowsAsImages:
        super().fit(self._images(X, reset=True))
        return self

    def transform(self, X: Any) -> Any:
        return super().transform(self._images(X, reset=False))

    def _images(self, X: Any, *, reset: bool) -> list[Any]:
        X = validate_data(self, X, reset=reset, dtype="numeric")
        grey = np.clip(X.astype(float) * 20 + 128, 0, 255).astype(np.uint8)
        return [np.repeat(np.resize(row, (1, 8))[:, :, None], 3, axis=2) for row in grey]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.string = tags.input_tags.three_d_array = False
        return tags


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_scikit_learns_own_checks_pass() -> None:
    """All of check_estimator, over images made of its numbers.

    Left out by scikit-learn itself: check_transformer_preserve_dtypes (embeddings are float32 by
    the tag preserves_dtype), check_array_api_input (it needs SCIPY_ARRAY_API).
    """
    checked = check_estimator(RowsAsImages(**SETTINGS), on_skip=None)
    skipped = {c["check_name"] for c in checked if c["status"] != "passed"}
    assert skipped <= {"check_transformer_preserve_dtypes", "check_array_api_input"}
    assert len(checked) > 30

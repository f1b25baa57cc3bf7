"""Heat maps on the page: whose they are, what they say, and where there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import featx
from featx.heads import freeze
from featx.reporting.contents import Heat
from featx.reporting.heat import heat_words, overlay
from tests.lab import NETWORK

WHOLE = (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("steps", ["plain", "pca"])
@pytest.mark.parametrize("classifier", [LogisticRegression(), RidgeClassifier()])
def test_planes_are_the_margins(n_classes: int, steps: str, classifier: Any) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % n_classes
    X = rng.normal(size=(60, 5)) * [1, 10, 0.1, 1, 3] + 7 + y[:, None]
    before = [StandardScaler(), PCA(3)] if steps == "pca" else [StandardScaler()]
    head = make_pipeline(*before, classifier).fit(X, y)
    planes = freeze(head).planes()
    assert planes is not None
    margins = head.decision_function(X)
    if n_classes == 2:
        margins = np.column_stack([0 * margins, margins])
    np.testing.assert_allclose(X @ planes[0].T + planes[1], margins, atol=1e-9)


def test_a_saved_head_has_the_same_planes(run: Any) -> None:
    model = featx.load_model(run.folder)
    read, rebuilt = model.planes(), freeze(model.pipeline).planes()
    if run.results["chosen"]["head"] == "logreg":
        assert read is not None
        assert rebuilt is not None
        np.testing.assert_allclose(read[0], rebuilt[0])
        np.testing.assert_allclose(read[1], rebuilt[1])
    else:
        assert read is None


def test_colours_are_where_the_map_is_and_the_rest_is_pale() -> None:
    picture = Image.new("RGB", (100, 60), (90, 90, 90))
    values = np.zeros((4, 4))
    values[0, 0], values[3, 3] = 1.0, -1.0
    shown = np.asarray(overlay(picture, Heat(values, (0.2, 0.0, 0.8, 1.0)))).astype(int)
    assert (shown[30, 5] > 150).all()  # outside the crop
    red, _, blue = shown[4, 24]
    assert red > blue + 50
    red, _, blue = shown[55, 76]
    assert blue > red + 50
    assert np.abs(shown[30, 50] - 90).max() <= 3
    flat = np.asarray(overlay(picture, Heat(np.zeros((2, 2)), WHOLE)))
    assert (flat == 90).all()


def test_words_say_where() -> None:
    values = np.zeros((9, 9))
    values[8, 0] = 2.0
    words = heat_words(Heat(values, WHOLE), "activation", "a", "b")
    assert "most of it in the lower left; all places together are more evidence for a" in words
    assert "Nothing" in heat_words(Heat(-values, WHOLE), "activation", "a", "b")
    assert "to the lower left" in heat_words(Heat(values, WHOLE), "attention", "a", "b")


@pytest.mark.parametrize(("head", "shows"), [("logreg", True), ("knn", False)])
def test_the_page_shows_them_or_says_why_not(
    photos: Path, tmp_path: Path, head: str, shows: bool
) -> None:
    made = featx.fit(photos, **NETWORK, head=head, heat_maps=True,
                     layer=["layer2"], cv=3, estimate="cv", runs=tmp_path, name="x", report=True,
                     cache=photos.parent / "cache")  # fmt: skip
    page = (made.folder / "report.html").read_text("utf-8")
    assert ("Red marks evidence for the predicted class" in page) == shows
    assert ("which was fitted on these images too" in page) == shows
    assert ("No heat maps: its head is not linear in the embeddings." in page) == (not shows)
    assert (page.count("Evidence for") > 5) == shows
    assert "<script>alert" not in page
    plain = featx.report(made, output=tmp_path / "plain.html", heat_maps=False).read_text("utf-8")
    assert "No heat maps: featx report makes the page again with them." in plain
    assert "Evidence for" not in plain

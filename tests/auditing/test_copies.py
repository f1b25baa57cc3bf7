"""Checks with known answers: copies, distances, doubtful labels, outliers, shortcuts."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from featx.auditing.duplicates import filled_share, find_copies, perceptual_hash
from featx.auditing.labels import doubt_labels
from featx.auditing.looking import Look
from featx.auditing.neighbours import close_codes, nearest, standardise
from featx.auditing.outliers import LIMIT, outlier_scores
from featx.auditing.registration import aligned_similarity
from featx.auditing.shortcuts import find_shortcuts
from featx.data.splits import make_folds


def drawing(seed: int) -> Image.Image:
    """Shapes on a plain ground, of which no two seeds make the same."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (200, 160), tuple(int(v) for v in rng.integers(150, 255, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        x, y, w, h = (int(v) for v in rng.integers(5, 90, 4))
        box = (x + int(rng.integers(60)), y, x + 65 + w, y + h)
        draw.ellipse(box, fill=tuple(int(v) for v in rng.integers(0, 255, 3)))
    return image


def grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((64, 64), Image.Resampling.BOX).convert("L"))


def recompressed(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return Image.open(buffer).convert("RGB")


COPIES = {
    "itself": lambda image: image,
    "resized": lambda image: image.resize((110, 88)),
    "recompressed": recompressed,
    "cut": lambda image: image.crop((12, 4, 194, 152)),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_alike_and_others_are_not(kind: str) -> None:
    images = [drawing(seed) for seed in range(6)]
    greys = np.stack([grey(i) for i in images] + [grey(COPIES[kind](i)) for i in images])
    copies = np.array([(i, i + 6) for i in range(6)])
    others = np.array([(i, (i + 1) % 6 + 6) for i in range(6)])
    assert aligned_similarity(greys, copies).min() > 0.95
    assert aligned_similarity(greys, others).max() < 0.8


def test_images_without_edges_are_no_copies_of_each_other() -> None:
    plain = np.stack([np.full((64, 64), 90, np.uint8), np.full((64, 64), 200, np.uint8)])
    assert aligned_similarity(plain, np.array([[0, 1]])).tolist() == [0]
    assert aligned_similarity(plain, np.empty((0, 2), np.int64)).tolist() == []


def silhouette(x: int, legs: int) -> Image.Image:
    """A small dark animal on white, alike but for its legs."""
    image = Image.new("RGB", (120, 120), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((x, 50, x + 38, 66), fill="black")
    for leg in range(legs):
        draw.line((x + 8 + 9 * leg, 62, x + 6 + 9 * leg, 78), fill="black", width=2)
    return image


@pytest.mark.parametrize(("cosine", "found"), [(0.5, []), (0.95, [(0, 1)])])
def test_outlines_on_an_empty_ground_are_copies_only_if_the_embedding_says_so(
    cosine: float, found: list
) -> None:
    greys = np.stack([grey(silhouette(40, 1)), grey(silhouette(40, 3))])
    [alike] = aligned_similarity(greys, np.array([[0, 1]]))
    assert 0.95 < alike < 0.98
    assert filled_share(greys).max() < 0.2
    Z = np.array([[1, 0], [cosine, np.sqrt(1 - cosine**2)]], np.float32)
    near = np.array([[1], [0]]), np.full((2, 1), cosine, np.float32)
    assert [c.rows for c in find_copies(np.arange(2), greys, Z, *near)] == found


def test_outlines_that_agree_entirely_are_copies_whatever_the_embedding_says() -> None:
    image = silhouette(40, 2)
    greys = np.stack([grey(image), grey(recompressed(image))])
    Z = np.array([[1, 0], [0.5, np.sqrt(0.75)]], np.float32)
    near = np.array([[1], [0]]), np.full((2, 1), 0.5, np.float32)
    assert [c.rows for c in find_copies(np.arange(2), greys, Z, *near)] == [(0, 1)]


def test_the_perceptual_hash_survives_recompression() -> None:
    image = drawing(0)
    bits = perceptual_hash(np.stack([grey(image), grey(recompressed(image)), grey(drawing(1))]))
    assert bits.shape == (3, 63)
    assert (bits[0] != bits[1]).sum() <= 4 < 12 < (bits[0] != bits[2]).sum()


@given(st.integers(0, 99), st.integers(1, 30), st.integers(1, 5))
def test_neighbours_are_those_of_all_products(seed: int, n: int, k: int) -> None:
    Z = standardise(np.random.default_rng(seed).normal(size=(n, 4)))
    neighbours, similarities = nearest(Z, k)
    products = Z @ Z.T
    np.fill_diagonal(products, -np.inf)
    expected = -np.sort(-products, axis=1)[:, : min(k, n - 1)]
    np.testing.assert_allclose(similarities, expected, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(products, neighbours, 1), expected, atol=1e-6)


@given(st.integers(0, 99), st.integers(0, 6))
def test_close_codes_are_all_pairs_within_the_distance(seed: int, distance: int) -> None:
    bits = np.random.default_rng(seed).random((20, 9)) < 0.5
    apart = (bits[:, None] != bits[None]).sum(axis=2)
    expected = {(a, b) for a in range(20) for b in range(a + 1, 20) if apart[a, b] <= distance}
    assert {tuple(pair) for pair in close_codes(bits, distance).tolist()} == expected


def test_a_label_far_below_chance_is_suspected() -> None:
    y = np.repeat([0, 1], 50)
    probabilities = np.where(np.arange(2) == y[:, None], 0.95, 0.05)
    probabilities[2] = (0.001, 0.999)
    probabilities[7] = (0.3, 0.7)  # doubtful, but not by much
    found = doubt_labels(y, probabilities)
    assert found.suspected.nonzero()[0].tolist() == [2]
    assert found.quality.argsort()[:2].tolist() == [2, 7]
    assert found.believed[[2, 7, 60]].tolist() == [1, 1, 0]
    np.testing.assert_allclose(found.proba.sum(axis=1), 1)


def test_timid_probabilities_are_calibrated_before_labels_are_doubted() -> None:
    """Whatever the temperature of the classifier, the same labels are suspected."""
    rng = np.random.default_rng(0)
    logits = 4 * rng.normal(size=(2000, 5))
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (truth.cumsum(axis=1) > rng.random((2000, 1))).argmax(axis=1)
    timid = truth**0.3 / (truth**0.3).sum(axis=1, keepdims=True)
    timid[:, 4] = np.where(np.arange(2000) < 50, 0, timid[:, 4])  # a class that a fold lacks
    found, expected = doubt_labels(y[50:], timid[50:]), doubt_labels(y[50:], truth[50:])
    np.testing.assert_allclose(found.proba, expected.proba, atol=1e-4)
    np.testing.assert_allclose(found.proba, truth[50:], atol=0.05)
    lacking = doubt_labels(y, timid)
    unknown = (np.arange(2000) < 50) & (y == 4)
    assert unknown.any()
    assert np.isnan(lacking.quality).tolist() == unknown.tolist()
    assert not lacking.suspected[unknown].any()


def test_images_far_from_all_others_are_outliers_and_others_are_not() -> None:
    """Also a few strange ones of one kind, which are each other's nearest neighbours."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 1, 40)) + 3 * rng.normal(size=(1, 4, 40))  # four classes
    X = X.transpose(1, 0, 2).reshape(-1, 40)[::4].astype(np.float32)
    X[[5, 77]] += 12 * rng.choice([-1, 1], size=(2, 40))
    X[200:208] = 15 * rng.choice([-1, 1], size=40) + rng.normal(size=(8, 40))
    found = (outlier_scores(X, seed=0) > LIMIT).nonzero()[0].tolist()
    assert found == [5, 77, *range(200, 208)]


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_few_or_equal_images_have_no_outliers(n: int) -> None:
    assert not outlier_scores(np.ones((n, 5), np.float32), seed=0).any()
    few = np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)
    assert np.isfinite(outlier_scores(few, seed=0)).all()


def test_the_shortcut_is_named_and_innocent_families_are_not() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 40)
    blank = np.zeros((64, 64), np.uint8)
    looks = [
        Look(
            blank,
            {
                "border": {"step": float(label == 1) + rng.normal(0, 0.1), "red": rng.normal()},
                "size": {"width": rng.normal(), "height": rng.normal()},
            },
            {"format": {"format": "JPEG"}},
        )
        for label in y
    ]
    units = np.arange(len(y))
    folds = make_folds(y, units, "abc", n_folds=4, seed=0)
    border, size = find_shortcuts(looks, y, units, ["a", "b", "c"], folds, seed=0)
    assert (border.family, border.given_away, border.strongest) == ("border", ["b"], {"b": "step"})
    assert border.serious
    assert (size.family, size.given_away, size.serious) == ("size", [], False)
    assert size.balanced_accuracy["low"] < 1 / 3 < size.balanced_accuracy["high"]

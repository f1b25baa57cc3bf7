"""Checks with known answers: copies, distances, doubtful labels, outliers, shortcuts."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from featx.auditing.duplicates import perceptual_hash
from featx.auditing.labels import confident_learning
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


def test_a_confidently_wrong_label_is_suspected_first() -> None:
    y = np.array([0] * 5 + [1] * 5)
    probabilities = np.where(np.arange(2) == y[:, None], 0.8, 0.2)
    probabilities[2] = (0.1, 0.9)
    probabilities[7] = (0.45, 0.55)  # doubtful, but not confidently of the other class
    found = confident_learning(y, probabilities)
    assert found.suspected.nonzero()[0].tolist() == [2]
    assert found.margin.argmin() == 2
    assert found.joint.tolist() == [[4, 1], [0, 5]]


def test_an_image_far_from_all_others_is_an_outlier() -> None:
    rng = np.random.default_rng(0)
    similarities = 1 - np.exp(rng.normal(-2, 0.1, size=(60, 10)))
    similarities[5] = 0.1
    scores = outlier_scores(similarities.astype(np.float32))
    assert (scores > LIMIT).nonzero()[0].tolist() == [5]
    assert not outlier_scores(np.ones((3, 2), np.float32)).any()


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

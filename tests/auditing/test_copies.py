"""Checks with known answers: copies, distances, series, doubtful labels, outliers."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from featx.auditing.duplicates import DETAIL, SAME, AlikeSets, find_copies
from featx.auditing.labels import doubt_labels
from featx.auditing.neighbours import nearest, standardise
from featx.auditing.outliers import LIMIT, outlier_scores
from featx.auditing.registration import compare, detail, low_frequencies, orientations
from featx.auditing.series import named_series


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
    "recoloured": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "mirrored": ImageOps.mirror,
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "all at once": lambda image: recompressed(
        image.transpose(Image.Transpose.TRANSVERSE).resize((120, 150)).crop((6, 3, 120, 150))
    ),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_alike_everywhere_and_others_are_not(kind: str) -> None:
    images = [drawing(seed) for seed in range(6)]
    greys = np.stack([grey(i) for i in images] + [grey(COPIES[kind](i)) for i in images])
    copies = compare(greys, np.array([(i, i + 6) for i in range(6)]))
    others = compare(greys, np.array([(i, (i + 1) % 6 + 6) for i in range(6)]))
    assert copies.similarity.min() > 0.95
    assert copies.difference.max() <= SAME
    assert others.difference.min() > 4 * SAME


def test_images_without_edges_are_no_copies_of_each_other() -> None:
    plain = np.stack([np.full((64, 64), 90, np.uint8), np.full((64, 64), 200, np.uint8)])
    found = compare(plain, np.array([[0, 1]]))
    assert (found.similarity.tolist(), found.difference.tolist()) == ([0], [1])
    assert compare(plain, np.empty((0, 2), np.int64)).difference.tolist() == []


def test_pictures_that_differ_in_one_place_are_no_copies() -> None:
    """Two dark animals on white, alike but for their legs: nearly all of their edges agree."""
    images = []
    for legs in (1, 3):
        image = Image.new("RGB", (120, 120), "white")
        draw = ImageDraw.Draw(image)
        draw.ellipse((40, 50, 78, 66), fill="black")
        for leg in range(legs):
            draw.line((48 + 9 * leg, 62, 46 + 9 * leg, 78), fill="black", width=2)
        images.append(image)
    found = compare(np.stack([grey(i) for i in images]), np.array([[0, 1]]))
    assert found.similarity[0] > 0.95
    assert found.difference[0] > 2 * SAME


def slices(seed: int, n: int = 6) -> list[np.ndarray]:
    """Neighbouring slices of a body of smooth shapes."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, k) for k in (n * 3, 64, 64)), indexing="ij")
    volume = 110.0 * (y**2 + x**2 < 0.8)
    for _ in range(12):
        centre, radius = rng.uniform(-0.5, 0.5, 3), rng.uniform(0.15, 0.4, 3)
        places = zip((z, y, x), centre, radius, strict=True)
        far = sum(((axis - c) / r) ** 2 for axis, c, r in places)
        volume = volume + rng.uniform(-60, 60) * np.clip((1.1 - far) * 4, 0, 1)
    return [np.clip(each + 60, 0, 255).astype(np.uint8) for each in volume[n : 2 * n]]


def alike(greys: list[np.ndarray], names: list[str], **groups: str) -> AlikeSets:
    """Sets among images that all look much the same to the backbone."""
    n = len(greys)
    Z = standardise(np.random.default_rng(0).normal(size=(n, 40)))
    near = np.array([[j for j in range(n) if j != i] for i in range(n)])
    series = named_series(names, [groups.get(name) for name in names])
    return find_copies(np.arange(n), np.stack(greys), Z, near, np.ones(near.shape), series)


def test_neighbouring_slices_are_a_series_and_their_copies_are_copies() -> None:
    greys = slices(0)
    names = [f"scan/{i:03}.png" for i in range(6)]
    found = alike([*greys, greys[2][:, ::-1]], [*names, "scan/flipped.png"])
    assert [c.rows for c in found.copies] == [(2, 6)]
    assert [c.rows for c in found.series] == [(0, 1, 2, 3, 4, 5)]
    assert 0.9 <= found.series[0].similarity < 1


def test_alike_pictures_of_other_names_are_no_series() -> None:
    found = alike(slices(0), [f"{name}.png" for name in ("a", "b", "c", "d", "e", "f")])
    assert (found.copies, found.series) == ([], [])


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["p/1.png", "p/2.png", "q/3.png"], [(0, 1)]),  # folders apart
        (["a/p7_s1.png", "b/p7_s2.png", "b/p8_s2.png"], [(0, 1)]),  # a numbered patient in classes
        (["f_010.png", "f_020.png", "f_030.png", "f_900.png"], [(0, 1), (0, 2), (1, 2)]),  # steps
        (
            ["f_000.png", "f_025.png", "f_050.png", "f_075.png"],
            [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)],
        ),
        (["f_12_256.png", "f_13_256.png"], [(0, 1)]),  # the number that varies
        (["one.png", "two.png", "7.png"], []),
        (["100224.png", "100723.png"], []),  # numbers that just name images
        (["f_8.png", "f_31.png", "f_35.png", "f_77.png", "f_92.png"], []),
        (["1.png", "1.jpg"], []),
    ],
)
def test_neighbours_of_a_series_are_known_by_their_names(names: list[str], pairs: list) -> None:
    assert [tuple(p) for p in named_series(names, [None] * len(names)).neighbours] == pairs


def test_neighbours_of_a_series_are_of_one_group() -> None:
    names = ["a/1.png", "b/2.png", "b/3.png"]
    found = named_series(names, ["x", "x", "y"])
    assert found.neighbours.tolist() == [[0, 1]]
    assert found.codes.tolist() == [0, 0, 2]
    long = named_series([f"c/{i}.png" for i in range(65)], [None] * 65)  # may count the class
    assert (len(long.neighbours), long.codes.tolist()) == (64 + 63, list(range(65)))


def test_low_frequencies_find_a_turned_copy_among_others() -> None:
    images = [drawing(seed) for seed in range(8)]
    turned = [image.transpose(turn) for image, turn in zip(images, Image.Transpose, strict=False)]
    low = low_frequencies(np.stack([grey(i) for i in [*images, *turned]]))
    versions = [each.reshape(len(low), -1) for each in orientations(low)]
    neighbours, cosines = nearest(versions[0], 1, versions)
    paired = range(len(turned))  # all seven ways to turn or mirror, whatever the embedding says
    assert len(turned) == 7
    assert [int(neighbours[k, 0]) for k in paired] == [k + 8 for k in paired]
    assert cosines[list(paired)].min() > 0.99


def test_enlarged_pictures_have_no_detail_and_drawings_have() -> None:
    small = Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8), np.uint8))
    large = small.resize((64, 64), Image.Resampling.BICUBIC)
    flat = np.full((64, 64), 7, np.uint8)
    found = detail(np.stack([grey(large), grey(drawing(0)), flat]))
    assert found[0] < DETAIL < found[1]
    assert detail(np.empty((0, 64, 64), np.uint8)).shape == (0,)


def test_two_alike_pictures_of_one_series_are_no_copies_however_far_apart() -> None:
    """As the first and the last slice of a body may be."""
    greys = [grey(drawing(k)) for k in range(8)]
    noise = np.random.default_rng(0).normal(0, 10, (64, 64))
    greys[7] = (greys[0] + noise).clip(0, 255).astype(np.uint8)
    apart = compare(np.stack(greys), np.array([[0, 7]])).difference[0]
    unnamed = alike(greys, [f"{name}.png" for name in "abcdefgh"])
    named = alike(greys, [f"scan/{k}.png" for k in range(8)])
    assert 0.02 < apart <= SAME
    assert [c.rows for c in unnamed.copies] == [(0, 7)]
    assert named.copies == []


@given(st.integers(0, 99), st.integers(1, 30), st.integers(1, 5))
def test_neighbours_are_those_of_all_products(seed: int, n: int, k: int) -> None:
    Z = standardise(np.random.default_rng(seed).normal(size=(n, 4)))
    neighbours, similarities = nearest(Z, k)
    products = Z @ Z.T
    np.fill_diagonal(products, -np.inf)
    expected = -np.sort(-products, axis=1)[:, : min(k, n - 1)]
    np.testing.assert_allclose(similarities, expected, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(products, neighbours, 1), expected, atol=1e-6)


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

"""The map of embeddings: two ways to lay them flat, with the picture of a point beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featx import console
from featx.numbers import percent
from featx.reporting.blocks import Block, Map, Mark, Paragraph, Table
from featx.reporting.contents import Embedded, Subject, standardised
from featx.reporting.ink import HUES
from featx.reporting.pictures import small_pictures, sprite_sheet
from featx.types import FloatArray

MOST_POINTS = 800
LEAST_POINTS = 12  # fewer make no map
N_COMPONENTS = 50  # that t-SNE starts from
PERPLEXITY = 30.0
ITERATIONS = 500
CELL_PX = 48
SIDE = 1000  # of a map, in its own units
EDGE = 24
N_SHAPES = 6
MOST_COLOURED = len(HUES) * N_SHAPES


@dataclass(frozen=True)
class MapLayout:
    """Where images lie.

    Parameters
    ----------
    rows : ndarray of shape (n,), int64
        Those of `Embedded` that are shown.
    pca : ndarray of shape (n, 2)
    explained : float
        Share of the variance in it.
    tsne : ndarray of shape (n, 2)
    """

    rows: NDArray[np.int64]
    pca: FloatArray
    explained: float
    tsne: FloatArray


@console.stage("Laying out the map")
def lay_out(embedded: Embedded, *, seed: int) -> MapLayout | None:
    """Principal components and t-SNE of the standardised embeddings; None of very few.

    Of many images about 800 are drawn, every class in proportion and each at least once. One
    thread computes: sums of several would differ in their last bits from run to run, and t-SNE
    grows such differences.

    References
    ----------
    van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    rows = _sample(embedded.y, seed)
    if len(rows) < LEAST_POINTS:
        return None
    X = embedded.X[rows].astype(np.float64)
    X = standardised(X, X)
    n = min(N_COMPONENTS, len(rows) - 1, X.shape[1])
    with threadpool_limits(1):
        pca = PCA(n, svd_solver="randomized" if X.shape[1] > n else "full", random_state=seed)
        flat = pca.fit_transform(X)
        if flat.shape[1] < 2 or not np.any(np.ptp(flat, axis=0)):
            return None
        perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
        tsne = TSNE(
            perplexity=perplexity, max_iter=ITERATIONS, init="pca", random_state=seed, n_jobs=1
        ).fit_transform(flat)
    explained = float(pca.explained_variance_ratio_[:2].sum())
    return MapLayout(rows, flat[:, :2], explained, tsne.astype(np.float64))


def _sample(y: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """At most `MOST_POINTS` rows: of each class its share, and one at least."""
    if len(y) <= MOST_POINTS:
        return np.arange(len(y))
    rng = np.random.default_rng(seed)
    kept = []
    for c in np.unique(y):
        own = np.flatnonzero(y == c)
        n = max(1, round(len(own) * MOST_POINTS / len(y)))
        kept.append(rng.choice(own, min(n, len(own)), replace=False))
    return np.sort(np.concatenate(kept))


def layout_table(subject: Subject, layout: MapLayout) -> Table:
    """The map's points as a table."""
    embedded = subject.embedded
    assert embedded is not None
    rows = [
        [embedded.ids[i], _label(subject, embedded.y[i]), *map(float, (*p, *t))]
        for i, p, t in zip(layout.rows, layout.pca, layout.tsne, strict=True)
    ]
    return Table(("id", "class", "pca_1", "pca_2", "tsne_1", "tsne_2"), rows)


def _label(subject: Subject, code: int) -> str:
    return subject.classes[code] if code >= 0 else "(another class)"


def map_blocks(subject: Subject, layout: MapLayout) -> Iterator[Block]:
    """Both maps, what they show in words, and the pictures of their marks."""
    embedded = subject.embedded
    assert embedded is not None
    n, total = len(layout.rows), len(embedded.ids)
    of = f"all {n:,} images" if n == total else f"{n:,} of {total:,} images, drawn by class"
    pairs = zip(subject.ids, subject.y, subject.y_pred, strict=True)
    wrong = frozenset(name for name, y, y_pred in pairs if y != y_pred)
    ringed = sum(embedded.ids[i] in wrong for i in layout.rows)
    yield Paragraph(
        f"Each mark is one of {of}; images that the backbone sees alike lie close together. "
        f"Principal components are the two main directions, {100 * layout.explained:.0f} % of all "
        "variance. t-SNE keeps neighbours together; its distances between groups and their sizes "
        f"mean nothing. The {ringed:,} ringed images were predicted wrong."
    )
    looks = _looks(subject)
    present = sorted({int(c) for c in embedded.y[layout.rows]})
    plain = len(present) - len(looks)
    yield Map(
        [
            ("Principal components", _marks(subject, layout, layout.pca, looks, wrong)),
            ("t-SNE", _marks(subject, layout, layout.tsne, looks, wrong)),
        ],
        legend=[(looks[c], _label(subject, c)) for c in present if c in looks],
        more=f"grey: {plain:,} smaller classes" if plain > 0 else "",
        choices=[(c, _label(subject, c)) for c in present],
        sheet=sprite_sheet(small_pictures([embedded.paths[i] for i in layout.rows], CELL_PX),
                           CELL_PX),
        cell_px=CELL_PX,
    )  # fmt: skip


def _looks(subject: Subject) -> dict[int, int]:
    """Classes with a colour and shape of their own, as many as can be told apart, and which."""
    assert subject.embedded is not None
    y, n = subject.embedded.y, len(subject.classes)
    order = np.argsort(-np.bincount(y[y >= 0], minlength=n), kind="stable")
    return {int(c): k for k, c in enumerate(np.sort(order[:MOST_COLOURED]))}


def _predicted(subject: Subject) -> dict[str, str]:
    """What was predicted for each evaluated image, in words; of several predictions the first."""
    first = np.flatnonzero(subject.repeat == 0)
    named = zip(first, subject.y_pred[first], strict=True)
    return {
        subject.ids[i]: f" — predicted {subject.classes[c]} ({percent(subject.proba[i, c], 0)})"
        for i, c in named
    }


def _marks(
    subject: Subject,
    layout: MapLayout,
    places: FloatArray,
    looks: Mapping[int, int],
    wrong: frozenset[str],
) -> list[Mark]:
    """One mark an image, in a square of `SIDE`."""
    embedded = subject.embedded
    assert embedded is not None
    predicted = _predicted(subject)
    low, span = places.min(axis=0), np.maximum(np.ptp(places, axis=0), 1e-12)
    xy = (EDGE + (places - low) / span * (SIDE - 2 * EDGE)).round().astype(int)
    marks = []
    for (x, y), i in zip(xy.tolist(), layout.rows.tolist(), strict=True):
        c, name = int(embedded.y[i]), embedded.ids[i]
        words = f"{_label(subject, c)}: {name}{predicted.get(name, '')}"
        marks.append(Mark(x, SIDE - y, looks.get(c), name in wrong, words, c))
    return marks

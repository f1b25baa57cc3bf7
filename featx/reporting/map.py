"""The map of embeddings: two ways to lay them flat, with the picture of a point beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featx.files import printable
from featx.pages import Markup, element
from featx.reporting.contents import Embedded, Subject, standardised
from featx.reporting.ink import HUES
from featx.reporting.pictures import small_pictures, sprite_sheet
from featx.reporting.tables import Table

__all__ = ["Layout", "draw_map", "lay_out", "layout_table"]

MOST_POINTS = 1000
LEAST_POINTS = 12  # fewer make no map
N_COMPONENTS = 50  # that t-SNE starts from
PERPLEXITY = 30.0
ITERATIONS = 500
SPRITE_PX = 48
SIDE = 1000  # of a map, in its own units
EDGE = 24
SHAPES = (
    "M-8 0a8 8 0 1 0 16 0a8 8 0 1 0 -16 0z",
    "M-7 -7h14v14h-14z",
    "M0 -9l9 16h-18z",
    "M0 -10l10 10l-10 10l-10 -10z",
)
MOST_COLOURED = len(HUES) * len(SHAPES)

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
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
    pca: Float
    explained: float
    tsne: Float


def lay_out(embedded: Embedded, *, seed: int) -> Layout | None:
    """Principal components and t-SNE of the standardised embeddings; None of very few.

    Of many images about 1,000 are drawn, every class in proportion and each at least once. One
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
    return Layout(rows, flat[:, :2], explained, tsne.astype(np.float64))


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


def layout_table(subject: Subject, layout: Layout) -> Table:
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


def draw_map(subject: Subject, layout: Layout) -> Iterator[Markup]:
    """Both maps, what they show in words, a list to point a class out, and the sprite sheet."""
    embedded = subject.embedded
    assert embedded is not None
    n, total = len(layout.rows), len(embedded.ids)
    of = f"all {n:,} images" if n == total else f"{n:,} of {total:,} images, drawn by class"
    wrong = _mistaken(subject)
    ringed = sum(embedded.ids[i] in wrong for i in layout.rows)
    yield element(
        "p",
        f"Each mark is one of {of}; images that the backbone sees alike lie close together. "
        f"Principal components are the two main directions, {100 * layout.explained:.0f} % of all "
        "variance. t-SNE keeps neighbours together; its distances between groups and their sizes "
        f"mean nothing. The {ringed:,} ringed images were judged wrong.",
    )
    yield from _tools(subject, layout)
    maps = [
        _one_map(subject, layout, places, title, wrong)
        for places, title in ((layout.pca, "Principal components"), (layout.tsne, "t-SNE"))
    ]
    tip = element("div", class_="tip", hidden="hidden", aria_live="polite")
    yield element("div", *maps, _sheet(embedded, layout), tip, class_="maps", id="maps")
    yield element(
        "p",
        "Point at a mark for its picture; with the keyboard: Tab to a map, then the arrow keys.",
        class_="note screen",
    )


def _mistaken(subject: Subject) -> frozenset[str]:
    return frozenset(
        name for name, y, p in zip(subject.ids, subject.y, subject.predicted, strict=True) if y != p
    )


def _tools(subject: Subject, layout: Layout) -> Iterator[Markup]:
    """Legend of what has a colour and shape of its own, and the list of classes."""
    assert subject.embedded is not None
    present = sorted({int(c) for c in subject.embedded.y[layout.rows]})
    marks = _marks(subject)
    items = [
        element("li", _swatch(marks[c]), " ", printable(_label(subject, c)))
        for c in present
        if c in marks
    ]
    if len(marks) < len(present):
        items.append(element("li", f"grey: {len(present) - len(marks):,} smaller classes"))
    yield element("ul", *items, class_="legend")
    options = [element("option", "all classes", value="")]
    options += [element("option", printable(_label(subject, c)), value=str(c)) for c in present]
    yield element(
        "p", element("label", "Point out: ", element("select", *options, id="point-out")),
        class_="script",
    )  # fmt: skip


def _marks(subject: Subject) -> dict[int, int]:
    """Classes with a colour and shape of their own, as many as can be told apart, and which."""
    assert subject.embedded is not None
    y, n = subject.embedded.y, len(subject.classes)
    order = np.argsort(-np.bincount(y[y >= 0], minlength=n), kind="stable")
    return {int(c): k for k, c in enumerate(np.sort(order[:MOST_COLOURED]))}


def _swatch(mark: int) -> Markup:
    shape = SHAPES[mark // len(HUES)]
    path = element("path", d=shape, class_=f"h{mark % len(HUES)}")
    return element("svg", path, viewBox="-11 -11 22 22", width="14", height="14",
                   aria_hidden="true", class_="swatch")  # fmt: skip


def _one_map(
    subject: Subject, layout: Layout, places: Float, title: str, wrong: frozenset[str]
) -> Markup:
    embedded = subject.embedded
    assert embedded is not None
    low, span = places.min(axis=0), np.maximum(np.ptp(places, axis=0), 1e-12)
    xy = EDGE + (places - low) / span * (SIDE - 2 * EDGE)
    own = _marks(subject)
    marks = []
    for k, i in enumerate(layout.rows.tolist()):
        c, name = int(embedded.y[i]), embedded.ids[i]
        kind, shape = "plain", SHAPES[0]
        if c in own:
            kind, shape = f"h{own[c] % len(HUES)}", SHAPES[own[c] // len(HUES)]
        words = f"{printable(_label(subject, c))}: {printable(name)}"
        if name in wrong:
            kind, words = kind + " wrong", words + " (judged wrong)"
        place = f"translate({xy[k, 0]:.0f} {SIDE - xy[k, 1]:.0f})"
        marks.append(
            element(
                "path",
                element("title", words),
                d=shape,
                transform=place,
                class_=kind,
                data_c=c,
                data_k=k,
            )
        )
    label = f"Map of {len(marks)} embeddings by {title}, coloured by class"
    drawing = element("svg", *marks, viewBox=f"0 0 {SIDE} {SIDE}", role="img", aria_label=label,
                      tabindex=0, class_="map")  # fmt: skip
    return element("figure", element("figcaption", title), drawing)


def _sheet(embedded: Embedded, layout: Layout) -> Markup:
    """The pictures of all points in one, out of sight."""
    pictures = small_pictures([embedded.paths[i] for i in layout.rows], SPRITE_PX)
    if not any(pictures):
        return Markup("")
    data, columns = sprite_sheet(pictures, SPRITE_PX)
    address = "data:image/webp;base64," + base64.b64encode(data).decode()
    return element("img", src=address, alt="", id="sprites", data_columns=columns,
                   data_size=SPRITE_PX)  # fmt: skip


SCRIPT = """
(function () {
  'use strict';
  var maps = document.getElementById('maps');
  if (!maps) return;
  var tip = maps.querySelector('.tip'), sheet = document.getElementById('sprites');
  var canvas = document.createElement('canvas'), words = document.createElement('span');
  canvas.width = canvas.height = 144;
  if (sheet) tip.appendChild(canvas);
  tip.appendChild(words);
  var drawings = [].slice.call(maps.querySelectorAll('svg.map')), current = null, names = {};
  drawings.forEach(function (svg) {
    [].forEach.call(svg.children, function (mark) {
      names[mark.dataset.k] = mark.firstChild.textContent;
      mark.removeChild(mark.firstChild);
    });
  });
  function twins(k, on) {
    drawings.forEach(function (svg) { svg.children[k].classList.toggle('on', on); });
  }
  function hide() {
    if (current !== null) twins(current, false);
    current = null; tip.hidden = true;
  }
  function show(mark) {
    var k = +mark.dataset.k;
    if (current !== null) twins(current, false);
    current = k; twins(k, true);
    words.textContent = names[k];
    if (sheet && sheet.complete) {
      var s = +sheet.dataset.size, c = +sheet.dataset.columns, pen = canvas.getContext('2d');
      pen.drawImage(sheet, k % c * s, Math.floor(k / c) * s, s, s, 0, 0, 144, 144);
    }
    tip.hidden = false;
    var at = mark.getBoundingClientRect(), box = maps.getBoundingClientRect();
    var x = at.right - box.left + 8;
    if (x + tip.offsetWidth > box.width) x = at.left - box.left - tip.offsetWidth - 8;
    tip.style.left = Math.max(0, Math.min(x, box.width - tip.offsetWidth)) + 'px';
    tip.style.top = at.bottom - box.top + 6 + 'px';
  }
  drawings.forEach(function (svg) {
    svg.addEventListener('pointerover', function (e) {
      if (e.target.dataset && e.target.dataset.k) show(e.target);
    });
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('blur', hide);
    svg.addEventListener('keydown', function (e) {
      var step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
      if (e.key === 'Escape') hide();
      if (!step) return;
      e.preventDefault();
      var n = svg.children.length, k = current === null ? -step : current;
      for (var i = 0; i < n; i++) {
        k = (k + step + n) % n;
        if (!svg.children[k].classList.contains('dim')) break;
      }
      show(svg.children[k]);
    });
  });
  var list = document.getElementById('point-out');
  list.parentNode.parentNode.classList.add('ready');
  list.addEventListener('change', function () {
    hide();
    drawings.forEach(function (svg) {
      [].forEach.call(svg.children, function (mark) {
        var other = list.value !== '' && mark.dataset.c !== list.value;
        mark.classList.toggle('dim', other);
        mark.classList.toggle('lit', list.value !== '' && !other);
      });
    });
  });
})();
"""

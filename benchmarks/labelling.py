"""Does choosing what to label save labels, and does the printed estimate hold?

    python benchmarks/labelling.py --data DATA [--cache CACHE] [--only NAME ...] [--seconds S]

DATA has the folders clothing, bccd, malaria, plankton and pacs; digits are scikit-learn's, as
images. Each is embedded once with featx:lite0. Then, in each of many draws, a third of the images
is held out and at most 1,500 of the others are labelled from nothing, in batches of 20 (a tenth of
the labels, where that is more), a quarter of each at random, as `featx label` does.

``labels``: how many labels it takes to reach 95 % of the balanced accuracy that all labels give, on
the held-out third, in two batches in a row; against labels drawn at random, on the same draws. The
head is the same. ``estimate``: how often the printed interval holds the share of images that the
head predicts right, among all of the draw's images, at several numbers of labels; beside it
cross-validation over all labels (``naive``) and a prediction-powered estimate (``powered``). An
image that was labelled is predicted by heads that were not trained on it.

Adds to benchmarks/results/labelling.json after each draw, and goes on where it stopped: remove the
file to start anew. With --quick few draws of made data, and nothing is written.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measuring import keep, left_out, temporary_folder
from scipy.stats import t as student

from featx.labelling.choosing import Known, choose
from featx.labelling.head import QuickHead, Space
from featx.labelling.judging import FOLDS, Evidence, estimate_share, judge

RESULTS = Path(__file__).parent / "results" / "labelling.json"
NAMES = ("clothing", "bccd", "malaria", "plankton", "pacs", "digits")
DRAWS = {"labels": 20, "estimate": 200}
FEWER = {"plankton": 60}  # draws of the estimate: heads of 121 classes take long
POOL, SHARE, BATCH, GOAL = 1500, 0.25, 20, 0.95
STEPS = (40, 80, 120, 200, 300, 400)


class Draw:
    """A pool to label and images that are held out."""

    def __init__(self, space: Space, y: np.ndarray, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        order = self.rng.permutation(len(y))
        n_held = len(y) // 3
        pool, held = order[n_held:][:POOL], order[:n_held]
        self.n_pool, rows = len(pool), np.concatenate([pool, held])
        self.space, self.y = Space(space.Z[rows], space.variance), y[rows]
        self.order = self.rng.permutation(self.n_pool)
        self.free = np.ones(self.n_pool, bool)
        self.rows: list[int] = []
        self.n_drawn = 0
        self.proba: np.ndarray | None = None
        self.classes = np.empty(0, int)

    def step(self, share: float) -> None:
        """Label one batch, a share of it at random, and fit the head again."""
        n = min(max(BATCH, len(self.rows) // 10), int(self.free.sum()))
        end = self.n_drawn + round(share * n)
        drawn = [row for row in self.order[self.n_drawn : end] if self.free[row]]
        self.n_drawn = min(end, self.n_pool)
        self.free[drawn] = False
        Z, labelled = self.space.Z[: self.n_pool], np.array(self.rows, int)
        counts = np.unique(self.y[labelled], return_counts=True)[1]
        chosen = choose(Known(Z, self.proba, counts, labelled), self.free, n - len(drawn), self.rng)
        self.free[chosen.rows] = False
        self.rows += [*drawn, *chosen.rows]
        self.refit()

    def refit(self) -> None:
        self.classes = np.unique(self.y[self.rows])
        if len(self.classes) > 1:
            self.everyone = predict(self.space, self.y, np.array(self.rows), self.space.Z)
            self.proba = self.everyone[: self.n_pool]

    @property
    def held_score(self) -> float:
        """Balanced accuracy on the images that are held out."""
        if self.proba is None:
            return 0.0
        y_pred = self.classes[self.everyone[self.n_pool :].argmax(axis=1)]
        return balanced(self.y[self.n_pool :], y_pred)


def predict(space: Space, y: np.ndarray, train: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Probabilities by a head of some labels; columns are their classes, sorted."""
    classes, codes = np.unique(y[train], return_inverse=True)
    return QuickHead.fit(space.Z[train], codes, len(classes), space.variance).predict_proba(Z)


def balanced(y: np.ndarray, y_pred: np.ndarray) -> float:
    return float(np.mean([(y_pred[y == c] == c).mean() for c in np.unique(y)]))


def labels_needed(space: Space, y: np.ndarray, seed: int, share: float) -> int:
    """Labels at the first of two batches in a row that reach the goal."""
    whole = Draw(space, y, seed)
    whole.rows = list(range(whole.n_pool))
    whole.refit()
    goal = GOAL * whole.held_score
    draw, curve = Draw(space, y, seed), []
    while draw.free.any():
        draw.step(share)
        curve.append((len(draw.rows), draw.held_score))
        if len(curve) > 1 and min(curve[-1][1], curve[-2][1]) >= goal:
            return curve[-2][0]
    return len(draw.rows)


def estimates(space: Space, y: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """The printed estimate, two others, and the truth, at each of `STEPS`."""
    draw, found = Draw(space, y, seed), []
    while len(draw.rows) < STEPS[-1] and draw.free.any():
        before = len(draw.rows)
        draw.step(SHARE)
        step = next((step for step in STEPS if before < step <= len(draw.rows)), None)
        if step is None:
            continue
        rows = np.array(draw.rows)
        drawn = np.isin(rows, draw.order[: draw.n_drawn])
        codes = np.unique(draw.y[rows], return_inverse=True)[1]
        judged = judge(Evidence(draw.space, rows, codes, drawn, np.arange(len(rows)), seed))
        if judged.estimate is None:
            continue
        right, sure = crossed(draw, rows, seed)
        truth = draw.classes[draw.everyone.argmax(axis=1)] == draw.y
        truth[rows] = right[rows]
        naive, powered = estimate_share(right[rows]), power(right, sure, rows[drawn], draw.n_pool)
        printed = judged.estimate
        found.append(
            {
                "step": step,
                "n": len(rows),
                "drawn": printed.n,
                "truth": round(float(truth.mean()), 4),
                "printed": rounded(printed.value, printed.low, printed.high),
                "naive": rounded(*naive),
                "powered": rounded(*powered),
            }
        )
    return found


def rounded(*values: float) -> list[float]:
    return [round(float(value), 4) for value in values]


def crossed(draw: Draw, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cross-validation over all labels.

    Whether each labelled image is predicted right by the head that did not train on it, and the
    probability of the predicted class by that head; of other images the mean over all heads.
    """
    right, sure, own = np.zeros(len(draw.y), bool), np.zeros(len(draw.y)), np.zeros(len(draw.y))
    fold = np.random.default_rng(seed).permutation(len(rows)) % FOLDS
    for k in range(FOLDS):
        train, held = rows[fold != k], rows[fold == k]
        proba = predict(draw.space, draw.y, train, draw.space.Z)
        best = np.unique(draw.y[train])[proba.argmax(axis=1)]
        right[held] = best[held] == draw.y[held]
        sure += proba.max(axis=1) / FOLDS
        own[held] = proba[held].max(axis=1)
    sure[rows] = own[rows]
    return right, sure


def power(right: np.ndarray, sure: np.ndarray, drawn: np.ndarray, n: int) -> list[float]:
    """PPI++ (Angelopoulos, Duchi and Zrnic, 2023): the head's probabilities as control variate."""
    hit, at = right[drawn].astype(float), sure[drawn]
    weight = np.clip(np.cov(hit, at)[0, 1] / max(at.var(ddof=1), 1e-9), 0, 1)
    value = hit.mean() + weight * (sure[:n].mean() - at.mean())
    spread = np.sqrt((hit - weight * at).var(ddof=1) / len(hit))
    half = student.ppf(0.975, len(hit) - 1) * spread
    return [float(value), float(value - half), float(value + half)]


def measure(
    found: dict[str, Any], X: np.ndarray, y: np.ndarray, draws: dict[str, int]
) -> Iterator[None]:
    """Both questions on one data set, a draw at a time, as far as ``found`` lacks them."""
    space, y = Space.of(X), np.unique(y, return_inverse=True)[1]
    found.update(images=len(y), classes=int(y.max()) + 1)
    needed = found.setdefault("needed", {"chosen": [], "random": []})
    estimate = found.setdefault("estimate", [])
    while len(needed["chosen"]) < draws["labels"]:
        seed = len(needed["chosen"])
        for kind, share in (("random", 1.0), ("chosen", SHARE)):
            needed[kind] = [*needed[kind][:seed], labels_needed(space, y, seed, share)]
        yield
    while len(estimate) < draws["estimate"]:
        estimate.append(estimates(space, y, 1000 + len(estimate)))
        yield


def ratio(needed: dict[str, list[int]]) -> tuple[float, float, float]:
    """Median of the paired ratios, with its 95 % bootstrap interval."""
    logs = np.log(np.array(needed["chosen"]) / np.array(needed["random"]))
    resampled = np.random.default_rng(0).choice(logs, (4000, len(logs)))
    low, high = np.exp(np.percentile(np.median(resampled, axis=1), [2.5, 97.5]))
    return float(np.exp(np.median(logs))), float(low), float(high)


def coverage(rows: list[dict[str, Any]], name: str) -> tuple[float, float, float]:
    """Share of intervals that hold the truth, their mean width, and the mean error."""
    held = [row[name][1] <= row["truth"] <= row[name][2] for row in rows]
    width = [row[name][2] - row[name][1] for row in rows]
    error = [row[name][0] - row["truth"] for row in rows]
    return float(np.mean(held)), float(np.mean(width)), float(np.mean(error))


def show(found: dict[str, Any]) -> None:
    """Two Markdown tables."""
    print("| data | labels, chosen | labels, random | ratio (95 % interval) |\n|---|---|---|---|")
    for name, each in found.items():
        chosen, drawn = (int(np.median(each["needed"][k])) for k in ("chosen", "random"))
        value, low, high = ratio(each["needed"])
        print(f"| {name} | {chosen} | {drawn} | {value:.2f} ({low:.2f} to {high:.2f}) |")
    print("\n| labels | intervals | printed: coverage | width | error | naive: coverage | error |"
          " powered: coverage | width |\n|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    everything = [row for each in found.values() for draw in each["estimate"] for row in draw]
    for step in STEPS:
        rows = [row for row in everything if row["step"] == step]
        if not rows:
            continue
        (a, b, c), (d, _, e), (f, g, _) = (
            coverage(rows, name) for name in ("printed", "naive", "powered")
        )
        print(
            f"| {step} | {len(rows)} | {100 * a:.1f} % | {b:.3f} | {c:+.3f} | {100 * d:.1f} % | "
            f"{e:+.3f} | {100 * f:.1f} % | {g:.3f} |"
        )


def embeddings(name: str, data: Path, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    import featx

    folder = digits(temporary_folder()) if name == "digits" else data / name
    found = featx.extract(folder, cache=cache, backbone=["featx:lite0"])
    return found.X, found.y


def digits(folder: Path) -> Path:
    """scikit-learn's digits as images of 64 pixels."""
    from PIL import Image
    from sklearn.datasets import load_digits

    given = load_digits()
    for i, (image, label) in enumerate(zip(given.images, given.target, strict=True)):
        path = folder / str(label) / f"{i:04}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = (image * 15.9).astype(np.uint8)
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(path)
    return folder


def made(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four classes of very different sizes."""
    rng = np.random.default_rng(seed)
    y = rng.choice(4, 400, p=[0.6, 0.25, 0.1, 0.05])
    return (rng.normal(size=(4, 32))[y] + rng.normal(size=(400, 32))).astype(np.float32), y


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--only", nargs="*", default=NAMES, choices=NAMES)
    parser.add_argument("--seconds", type=float, default=np.inf, help="of processor time, at most")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        found: dict[str, Any] = {}
        list(measure(found, *made(), {"labels": 3, "estimate": 3}))
        show({"made": found})
        return
    if options.data is None or not options.data.exists():
        left_out("labelling", f"{options.data} is not here")
        return
    options.cache = options.cache or temporary_folder()
    kept = json.loads(RESULTS.read_text("utf-8"))["data"] if RESULTS.exists() else {}
    for name in options.only:
        draws = {**DRAWS, "estimate": FEWER.get(name, DRAWS["estimate"])}
        X, y = embeddings(name, options.data, options.cache)
        for _ in measure(kept.setdefault(name, {}), X, y, draws):
            keep(RESULTS, {"goal": GOAL, "random_share": SHARE, "data": kept}, quick=False)
            if time.process_time() > options.seconds:
                return
    show(kept)


if __name__ == "__main__":
    main()

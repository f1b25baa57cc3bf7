"""Does the printed interval hold? Small training sets against a large untouched remainder.

    python benchmarks/coverage.py --data FOLDER --weights squeezenet1_0.safetensors --cache FOLDER

FOLDER holds clothing/, malaria.csv and plankton/. Each is embedded once by frozen SqueezeNet at
96 px; of plankton the ten largest classes are used. A resplit then draws a small training set,
fits it as `featx fit` does (logistic regression, nested cross-validation), and compares what is
printed with the accuracy of the model that ships on images that the fit never saw. Of malaria,
whole patients are drawn. scikit-learn's digits (pixels) took no part in choosing how wide
intervals are. Beside it run what leaks (plain cross-validation, with SMOTE before the split or
with groups ignored), and two candidates that are equal by construction: the same embeddings with
other noise.

Every resplit is kept under the cache as it ends, and a second run goes on from there.
Writes benchmarks/results/coverage.json and prints a Markdown table.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import measuring
import numpy as np
import sklearn
from imblearn.over_sampling import SMOTE
from sklearn.datasets import load_digits

import featx
from featx.config import FitConfig
from featx.fitting import FitData, FitResult, fit_heads
from featx.fitting.gathering import gather

RESULTS = Path(__file__).parent / "results" / "coverage.json"

N_IMAGES = 150
N_PATIENTS, OF_EACH = 12, 12
SAME_OF_EACH = 60  # images of every other patient, so that each counts the same in the remainder
MOST_CLASSES = 10  # plankton's largest
NOISE = 0.5  # standard deviations of a feature, for equal candidates
FIRST_SEED = 1000  # earlier resplits served to choose how wide intervals are


class Resplit(NamedTuple):
    """What one small training set printed, and what was true of its model."""

    printed: float
    low: float
    high: float
    true: float
    p: float | None = None  # of the difference between two equal candidates


def main() -> None:
    """Run what is missing, then write and print."""
    options = asked(__doc__, ROWS, resplits=200)
    for name in options.row:
        fill(name, options)
    rows = {n: summary(kept) for n in ROWS if (kept := known(n, options.cache))}
    write(RESULTS, rows, quick=options.quick)
    print(table(rows))


def asked(words: str, rows: list[str], *, resplits: int) -> argparse.Namespace:
    """The command line, which benchmarks of resplits share."""
    parser = argparse.ArgumentParser(description=words.split("\n", 1)[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--resplits", type=int, default=resplits)
    parser.add_argument("--row", nargs="+", choices=rows, default=rows)
    options = measuring.asked(parser, needs=["data", "weights"], folders=["cache"])
    if options.quick:
        options.resplits = 2
        globals().update(N_IMAGES=60, N_PATIENTS=8)
    return options


def write(path: Path, rows: dict[str, Any], *, quick: bool) -> None:
    """The rows, with where and when they were measured."""
    document = {
        "date": datetime.date.today().isoformat(),
        **measuring.machine(),
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
        "rows": rows,
    }
    measuring.keep(path, document, quick=quick)


def kept_in(name: str, cache: Path) -> Path:
    """Where the resplits of one row are kept, so that rows can be run side by side."""
    return cache / "coverage" / f"{name.replace('/', '-')}.json"


def known(name: str, cache: Path) -> list[dict[str, Any]]:
    """Resplits of one row that are done."""
    path = kept_in(name, cache)
    return json.loads(path.read_text("utf-8")) if path.exists() else []


def fill(name: str, options: argparse.Namespace) -> None:
    """Run the resplits of one row that are missing, keeping each as it ends."""
    dataset, variant = name.split("/")
    done = known(name, options.cache)
    if len(done) >= options.resplits:
        return
    path = kept_in(name, options.cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    pool = load(dataset, options)
    for seed in range(len(done), options.resplits):
        done.append(VARIANTS[variant](pool, FIRST_SEED + seed)._asdict())
        scratch = path.with_suffix(".part")
        scratch.write_text(json.dumps(done), "utf-8")
        scratch.replace(path)
    print(f"{name}: {len(done)} resplits", file=sys.stderr)


def load(dataset: str, options: argparse.Namespace) -> FitData:
    """All embeddings of one data set; its own splits are not used."""
    if dataset == "digits":
        digits = load_digits()
        return made({"pixels": digits.data.astype(np.float32)}, digits.target.astype(str))
    extraction = featx.extract(
        options.data / ("malaria.csv" if dataset == "malaria" else dataset),
        backbone="torchvision:squeezenet1_0",
        weights=str(options.weights),
        size=96,
        cache=str(options.cache),
    )
    assert not isinstance(extraction, list)
    data = replace(gather([extraction]), splits=None)
    if dataset != "plankton":
        return data
    names, counts = np.unique(data.y, return_counts=True)
    return rows_of(data, np.isin(data.y, names[np.argsort(-counts)[:MOST_CLASSES]]))


def made(X: dict[str, np.ndarray], y: np.ndarray) -> FitData:
    """Data without files: every row is an image of its own."""
    hashes = np.zeros((len(y), 32), np.uint8)
    hashes[:, :8] = np.arange(len(y), dtype="<u8").view(np.uint8).reshape(-1, 8)
    return FitData(X, y, [str(i) for i in range(len(y))], hashes)


def rows_of(data: FitData, rows: np.ndarray) -> FitData:
    """Some images, by mask or by number."""
    rows = np.arange(len(data.y))[rows]
    return FitData(
        {name: X[rows] for name, X in data.X.items()},
        data.y[rows],
        [data.ids[i] for i in rows],
        data.hashes[rows],
        None if data.groups is None else data.groups[rows],
    )


def draw(pool: FitData, rng: np.random.Generator) -> tuple[FitData, FitData]:
    """A small training set with at least two images of every class, and the remainder."""
    names = set(pool.y)
    while True:
        chosen, rest = draw_groups(pool, rng) if pool.groups is not None else draw_images(pool, rng)
        counts = np.unique(pool.y[chosen], return_counts=True)[1]
        if len(counts) == len(names) and counts.min() >= 2:
            return rows_of(pool, chosen), rows_of(pool, rest)


def draw_images(pool: FitData, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Images at random; copies of what was drawn are not in the remainder."""
    order = rng.permutation(len(pool.y))
    chosen, rest = order[:N_IMAGES], order[N_IMAGES:]
    seen = {h.tobytes() for h in pool.hashes[chosen]}
    return chosen, rest[[h.tobytes() not in seen for h in pool.hashes[rest]]]


def draw_groups(pool: FitData, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Patients at random, so many images of each; of every other patient the same number."""
    assert pool.groups is not None
    drawn = []
    for place, patient in enumerate(rng.permutation(np.unique(pool.groups))):
        images = rng.permutation(np.flatnonzero(pool.groups == patient))
        drawn.append(images[: OF_EACH if place < N_PATIENTS else SAME_OF_EACH])
    return np.concatenate(drawn[:N_PATIENTS]), np.concatenate(drawn[N_PATIENTS:])


def judged(result: FitResult, rest: FitData, p: float | None = None) -> Resplit:
    """What was printed beside the accuracy of the shipped model on the remainder."""
    right = result.pipeline.predict(rest.X[result.chosen.backbone]) == rest.y
    accuracy = result.estimate["metrics"]["accuracy"]
    return Resplit(accuracy["value"], accuracy["low"], accuracy["high"], float(right.mean()), p)


def honest(pool: FitData, seed: int) -> Resplit:
    """As `featx fit` does it."""
    training, rest = draw(pool, np.random.default_rng(seed))
    return judged(fit_heads(training, FitConfig(jobs=1, seed=seed)), rest)


def smote_before(pool: FitData, seed: int) -> Resplit:
    """Synthetic images are made first and lie on both sides of every fold."""
    training, rest = draw(pool, np.random.default_rng(seed))
    (name, X), smallest = next(iter(training.X.items())), np.unique(training.y, return_counts=True)
    neighbours = min(5, int(smallest[1].min()) - 1)
    X, y = SMOTE(k_neighbors=neighbours, random_state=seed).fit_resample(X, training.y)
    return judged(fit_heads(made({name: X}, y), FitConfig(jobs=1, seed=seed, estimate="cv")), rest)


def groups_ignored(pool: FitData, seed: int) -> Resplit:
    """Images of one patient lie on both sides of every fold."""
    training, rest = draw(pool, np.random.default_rng(seed))
    config = FitConfig(jobs=1, seed=seed, estimate="cv")
    return judged(fit_heads(replace(training, groups=None), config), rest)


def equal(pool: FitData, seed: int) -> Resplit:
    """Two backbones that differ by noise only; nothing but luck tells them apart."""
    rng = np.random.default_rng(seed)
    training, rest = draw(pool, rng)
    (X,), (others,) = training.X.values(), rest.X.values()
    spread = NOISE * pool_spread(pool)
    training.X, rest.X = {}, {}
    for name in ("one", "other"):
        training.X[name] = X + (rng.normal(size=X.shape) * spread).astype(np.float32)
        rest.X[name] = others + (rng.normal(size=others.shape) * spread).astype(np.float32)
    result = fit_heads(training, FitConfig(jobs=1, seed=seed, estimate="cv"))
    other = next(c for c in result.candidates if c.backbone != result.chosen.backbone)
    assert other.against_chosen is not None
    return judged(result, rest, other.against_chosen["p_adjusted"])


def pool_spread(pool: FitData) -> np.ndarray:
    """Standard deviation of each feature."""
    (X,) = pool.X.values()
    return X.std(axis=0)


VARIANTS: dict[str, Callable[[FitData, int], Resplit]] = {
    "honest": honest,
    "smote_before": smote_before,
    "groups_ignored": groups_ignored,
    "equal": equal,
}
ROWS = [
    "clothing/honest",
    "malaria/honest",
    "plankton/honest",
    "digits/honest",
    "clothing/smote_before",
    "plankton/smote_before",
    "malaria/groups_ignored",
    "clothing/equal",
    "malaria/equal",
    "plankton/equal",
]


def summary(resplits: list[dict[str, Any]]) -> dict[str, Any]:
    """Coverage, optimism and width in percent and points of accuracy."""
    printed, low, high, true = (
        np.array([r[name] for r in resplits]) for name in ("printed", "low", "high", "true")
    )
    document = {
        "resplits": len(resplits),
        "covered": round(100 * float(np.mean((low <= true) & (true <= high))), 1),
        "optimism": round(100 * float(np.mean(printed - true)), 2),
        "printed": round(100 * float(printed.mean()), 1),
        "true": round(100 * float(true.mean()), 1),
        "width": round(100 * float(np.mean(high - low)), 1),
    }
    if resplits[0]["p"] is not None:
        verdicts = [r["p"] < 0.05 for r in resplits]
        document["false_verdicts"] = round(100 * float(np.mean(verdicts)), 1)
    return document


def table(rows: dict[str, Any]) -> str:
    """The rows as Markdown; equal candidates, whose number is the optimistic one, apart."""
    lines = [
        "| data | way | resplits | printed | true | optimism, points | intervals that cover |",
        "|---|---|---|---|---|---|---|",
    ]
    verdicts = ["| data | resplits | equal candidates told apart |", "|---|---|---|"]
    for name, row in rows.items():
        dataset, variant = name.split("/")
        if "false_verdicts" in row:
            verdicts.append(f"| {dataset} | {row['resplits']} | {row['false_verdicts']} % |")
        else:
            lines.append(
                f"| {dataset} | {variant.replace('_', ' ')} | {row['resplits']} "
                f"| {row['printed']} % | {row['true']} % | {row['optimism']:+.2f} "
                f"| {row['covered']} % |"
            )
    return "\n".join([*lines, "", *verdicts])


if __name__ == "__main__":
    main()

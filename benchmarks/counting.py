"""Do the counts of a new folder hold? Simulated folders whose class shares are drawn at random.

    python benchmarks/counting.py --data FOLDER --cache FOLDER [--only NAME [--alpha A]]

FOLDER holds clothing/, malaria.csv and plankton/, which `featx extract` embeds once by the default
backbone (of plankton the 20 largest classes). A split fits a logistic regression as `featx fit`
does to some images (of malaria to half of the patients) and predicts the others. Folders are
drawn from those: the shares of the classes from Dirichlet distributions, the images of a class at
random. Coverage differs between splits, of malaria because they are of other patients, so there
are many, and a standard error between them. Beside the counts of `featx count` stand those of the
predictions alone (argmax), and of a plain random sample that a person labels.

Splits are kept in the cache, and a second run goes on from there. Writes
benchmarks/results/counting.json and prints Markdown tables.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import measuring
import numpy as np
from scipy.optimize import nnls

import featx
from featx.config import FitConfig
from featx.fitting import FitData, fit_heads
from featx.fitting.gathering import gather
from featx.stats.audits import Design
from featx.stats.counting import Reference, count_classes, count_intervals

RESULTS = Path(__file__).parent / "results" / "counting.json"
SOURCES = {"clothing": "clothing", "malaria": "malaria.csv", "plankton": "plankton"}
MOST_CLASSES = 20  # plankton's largest
N_TRAINED = 1200  # images that a split is fitted on
SPLITS = {"clothing": 8, "malaria": 48, "plankton": 8}
FOLDERS = {"clothing": 304, "malaria": 288, "plankton": 104}  # of each row
IMAGES, AUDITED = 400, 80  # of a folder
ALPHAS = (0.3, 1.0)
ALARM = 0.025  # of two tests for drift, at 5 % together


class World(NamedTuple):
    """A fitted classifier: out-of-fold predictions, and those of images it has not seen."""

    y: np.ndarray
    y_pred: np.ndarray
    proba: np.ndarray
    unit: np.ndarray
    pool_y: np.ndarray
    pool_y_pred: np.ndarray
    pool_proba: np.ndarray
    pool_unit: np.ndarray


def load(dataset: str, options: argparse.Namespace) -> FitData:
    """All embeddings of one data set; its own splits are not used."""
    extraction = featx.extract(options.data / SOURCES[dataset], cache=str(options.cache))
    assert not isinstance(extraction, list)
    data = replace(gather([extraction]), splits=None)
    names, counts = np.unique(data.y, return_counts=True)
    kept = np.isin(data.y, names[np.argsort(-counts)[:MOST_CLASSES]])
    _, first = np.unique(data.hashes, axis=0, return_index=True)  # no image is there twice
    return rows_of(data, np.intersect1d(np.flatnonzero(kept), first))


def rows_of(data: FitData, rows: np.ndarray) -> FitData:
    """Some images by number."""
    return FitData(
        {name: X[rows] for name, X in data.X.items()},
        data.y[rows],
        [data.ids[i] for i in rows],
        data.hashes[rows],
        None if data.groups is None else data.groups[rows],
    )


def split_of(data: FitData, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the images to fit on and of all others; of groups whole ones."""
    rng = np.random.default_rng(seed)
    if data.groups is None:
        order = rng.permutation(len(data.y))
        return order[:N_TRAINED], order[N_TRAINED:]
    groups = rng.permutation(np.unique(data.groups))
    inside = np.isin(data.groups, groups[: len(groups) // 2])
    order = rng.permutation(np.flatnonzero(inside))
    return order[:N_TRAINED], np.flatnonzero(~inside)


def world(dataset: str, seed: int, options: argparse.Namespace, held: dict[str, Any]) -> World:
    """One split, from the cache where it is there."""
    path = options.cache / "counting" / f"{dataset}-{seed}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as kept:
            return World(**{name: kept[name] for name in World._fields})
    if dataset not in held:
        held[dataset] = load(dataset, options)
    data = held[dataset]
    inside, rest = split_of(data, seed)
    training, pool = rows_of(data, inside), rows_of(data, rest)
    result = fit_heads(training, FitConfig(jobs=1, seed=seed, estimate="cv"))
    oof = next(each for each in result.held if each.split == "oof")
    X = pool.X[result.chosen.backbone]
    code = {name: i for i, name in enumerate(result.classes)}
    groups = np.arange(len(rest)) if pool.groups is None else pool.groups
    found = World(
        oof.part.y,
        oof.y_pred,
        oof.proba,
        oof.part.components,
        np.array([code[name] for name in pool.y]),
        np.array([code[name] for name in result.pipeline.predict(X)]),
        result.pipeline.predict_proba(X),
        np.unique(groups, return_inverse=True)[1],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **found._asdict())
    print(f"{dataset} {seed}: fitted", file=sys.stderr, flush=True)
    return found


def folder_of(world: World, alpha: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Images of a folder: classes from a Dirichlet distribution, of each as many as there are."""
    shares = rng.dirichlet(np.full(world.proba.shape[1], alpha))
    rows = []
    for name, wanted in enumerate(rng.multinomial(n, shares)):
        own = np.flatnonzero(world.pool_y == name)
        rows.append(rng.choice(own, min(wanted, len(own)), replace=False))
    return np.concatenate(rows)


def argmax_ends(y_pred: np.ndarray, n_classes: int) -> tuple[np.ndarray, ...]:
    """Counts of predictions, with the binomial interval that would hold for right ones."""
    counts, n = np.bincount(y_pred, minlength=n_classes), len(y_pred)
    half = 1.96 * np.sqrt(counts * (1 - counts / n))
    return counts, counts - half, counts + half


def matrix_ends(world: World, y_pred: np.ndarray, rng: np.random.Generator) -> Any:
    """Adjusted classify and count: the confusion matrix solved for shares, and a bootstrap."""
    n_classes, n = world.proba.shape[1], len(y_pred)

    def solved(y: np.ndarray, called: np.ndarray, new: np.ndarray) -> np.ndarray:
        table = np.full((n_classes, n_classes), 1e-3)
        np.add.at(table, (called, y), 1)
        weight = 1e3  # of the condition that shares add up to 1
        A = np.vstack([table / table.sum(axis=0), np.full(n_classes, weight)])
        b = np.append(np.bincount(new, minlength=n_classes) / n, weight)
        shares = nnls(A, b)[0]
        return n * shares / shares.sum()

    draws = []
    for _ in range(100):
        old, new = rng.integers(0, len(world.y), len(world.y)), rng.integers(0, n, n)
        draws.append(solved(world.y[old], world.y_pred[old], y_pred[new]))
    return solved(world.y, world.y_pred, y_pred), *count_intervals(np.array(draws), n)


def random_ends(y: np.ndarray, size: int, n_classes: int, rng: np.random.Generator) -> Any:
    """A plain random sample that is labelled: exact draws under Jeffreys' prior."""
    size = min(size, len(y))
    found = np.bincount(y[rng.choice(len(y), size, replace=False)], minlength=n_classes)
    shares = rng.dirichlet(found + 0.5, size=2000)
    draws = rng.multinomial(len(y) - size, shares) + found
    return draws.mean(axis=0), *count_intervals(draws, len(y))


def audit_ends(
    y: np.ndarray,
    proba: np.ndarray,
    content: np.ndarray,
    reference: Reference,
    seed: int,
) -> tuple[np.ndarray, ...]:
    """As `featx count --audit` draws the images and `--audited` combines them."""
    design = Design.of(content, proba.argmax(axis=1), reference.doubtful(proba), AUDITED, seed)
    draws = design.count(design.rows, y[design.rows], seed=seed)
    return draws.mean(axis=0), *count_intervals(draws, len(y))


def simulate(world: World, alpha: float, seed: int) -> dict[str, np.ndarray]:
    """One folder: for each way to count its classes the true count, the estimate, and the ends."""
    rng = np.random.default_rng(seed)
    n_classes = world.proba.shape[1]
    rows = folder_of(world, alpha, IMAGES, rng)
    y, proba = world.pool_y[rows], world.pool_proba[rows]
    reference = Reference.of(world.y, world.proba, world.unit)
    sizes = np.bincount(world.pool_unit[rows])
    alike = float(((sizes / len(rows)) ** 2).sum())
    counted = count_classes(reference, proba, alike=alike, seed=seed)
    ways = {
        "argmax": argmax_ends(world.pool_y_pred[rows], n_classes),
        "matrix": matrix_ends(world, world.pool_y_pred[rows], rng),
        "corrected": (
            counted.counts.mean(axis=0),
            *count_intervals(counted.counts, len(rows)),
        ),
        "audit": audit_ends(y, proba, counted.content, reference, seed),
        "random": random_ends(y, AUDITED, n_classes, rng),
        "random_twice": random_ends(y, 2 * AUDITED, n_classes, rng),
    }
    true = np.bincount(y, minlength=n_classes)
    _, _, p = reference.more_doubt(proba, counted.counts)
    found = {name: np.stack([true, *each]) for name, each in ways.items()}
    return {**found, "alarm": np.array(p <= ALARM)}


def summary(found: list[dict[str, np.ndarray]]) -> dict[str, dict[str, float]]:
    """Coverage in percent, and mean width and mean absolute error in images, over all classes."""
    rows = {}
    for name in found[0].keys() - {"alarm"}:
        true, value, low, high = np.concatenate([each[name] for each in found], axis=1)
        rows[name] = {
            "covered": round(100 * float(((low <= true) & (true <= high)).mean()), 1),
            "width": round(float((high - low).mean()), 1),
            "error": round(float(abs(value - true).mean()), 2),
        }
    return rows


def split_error(found: list[dict[str, np.ndarray]], splits: int) -> float:
    """Standard error of the coverage of `featx count` in percent, of folders in turn by split."""
    if splits < 2:
        return 0.0
    inside = [((low <= y) & (y <= high)).mean() for y, _, low, high in
              (each["corrected"] for each in found)]  # fmt: skip
    means = [np.mean(inside[i::splits]) for i in range(splits)]
    return round(100 * float(np.std(means, ddof=1) / np.sqrt(splits)), 1)


def measure(dataset: str, alpha: float, worlds: list[World], folders: int) -> dict[str, Any]:
    """One row: so many folders of one data set and distribution of shares."""
    found = [simulate(worlds[i % len(worlds)], alpha, i) for i in range(folders)]
    return {
        "data": dataset,
        "alpha": alpha,
        "folders": folders,
        "splits": len(worlds),
        "covered_se": split_error(found, len(worlds)),
        "alarms": round(100 * float(np.mean([each["alarm"] for each in found])), 1),
        "ways": summary(found),
    }


def table(document: dict[str, Any]) -> str:
    """The ways to count as Markdown: coverage, width, error."""
    lines = [
        "| data | class shares | argmax | confusion matrix | **featx count** | argmax error | "
        "**error** | width |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        a, m, c = (row["ways"][name] for name in ("argmax", "matrix", "corrected"))
        lines.append(
            f"| {row['data']} | Dirichlet({row['alpha']:g}) | {a['covered']} % "
            f"| {m['covered']} % | {c['covered']} ± {row['covered_se']} % | {a['error']} "
            f"| {c['error']} | {c['width']} |"
        )
    return "\n".join(lines)


def audit_table(document: dict[str, Any]) -> str:
    """The audits as Markdown."""
    size = document["audited"]
    lines = [
        f"| data | class shares | {size} audited: covered | width | {size} at random: width | "
        f"{2 * size} at random: covered | width |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        a, r, t = (row["ways"][name] for name in ("audit", "random", "random_twice"))
        lines.append(
            f"| {row['data']} | Dirichlet({row['alpha']:g}) | {a['covered']} % | {a['width']} | "
            f"{r['width']} | {t['covered']} % | {t['width']} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Fit what is missing, simulate, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--only", choices=SOURCES)
    parser.add_argument("--alpha", type=float, choices=ALPHAS)
    parser.add_argument("--folders", type=int, help="of each row")
    options = measuring.asked(parser, needs=["data"], folders=["cache"])
    splits = SPLITS
    if options.quick:
        globals().update(N_TRAINED=60, IMAGES=60, AUDITED=10)
        splits, options.folders = dict.fromkeys(SOURCES, 1), 2
    held: dict[str, Any] = {}
    rows = []
    for dataset in [options.only] if options.only else SOURCES:
        for alpha in [options.alpha] if options.alpha else ALPHAS:
            folders = options.folders or FOLDERS[dataset]
            path = options.cache / "counting" / f"{dataset}-{alpha:g}-{folders}.json"
            if not path.exists():
                worlds = [world(dataset, seed, options, held) for seed in range(splits[dataset])]
                path.write_text(json.dumps(measure(dataset, alpha, worlds, folders)))
            rows.append(json.loads(path.read_text("utf-8")))
    document = {**measuring.machine(), "images": IMAGES, "audited": AUDITED, "rows": rows}
    measuring.keep(RESULTS, document, quick=options.quick or bool(options.only))
    print(table(document), audit_table(document), sep="\n\n")


if __name__ == "__main__":
    main()

"""Fit: featx against plain GridSearchCV over an imbalanced-learn pipeline, in turn.

    python benchmarks/fit.py [--npz FILE] [--head logreg ...] [--sampler smote] [--rounds 3]

Both sides search the same grid on the same folds on all cores, with and without the sampler, and
refit the best. featx also refits nothing it knows, evaluates the choice with bootstrap intervals
and keeps its predictions; that time counts. FILE holds X (n, n_features) float32 and y; without
it, 2,000 embeddings of 512 features in 10 imbalanced classes are made. Writes
benchmarks/results/fit.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from imblearn.pipeline import Pipeline
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.preprocessing import StandardScaler

from featx.config import FitConfig
from featx.data.splits import make_folds
from featx.fitting import FitData, FitResult, fit_heads
from featx.fitting.data import Part, split_data
from featx.heads import HEADS
from featx.samplers import SAMPLERS

RESULTS = Path(__file__).parent / "results" / "fit.json"


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--npz", type=Path)
    parser.add_argument("--head", nargs="+", default=["logreg", "svm-linear"])
    parser.add_argument("--sampler", default="smote")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    data = load(options.npz)
    rows = [compare(data, head, options.sampler, options.rounds) for head in options.head]
    document = {
        "data": options.npz.name if options.npz else "made: 10 classes, 8:1",
        "images": len(data.y),
        "n_features": data.X["embeddings"].shape[1],
        "sampler": options.sampler,
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "heads": rows,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    print_table(document)


def load(path: Path | None) -> FitData:
    """Embeddings from a file, or made: classes of 40 to 320 that overlap."""
    if path is not None:
        with np.load(path) as arrays:
            X, y = arrays["X"].astype(np.float32), arrays["y"].astype(str)
    else:
        rng = np.random.default_rng(0)
        codes = np.repeat(np.arange(10), np.linspace(80, 320, 10).astype(int))
        centres = rng.normal(size=(10, 512)) * 0.2
        X = (centres[codes] + rng.normal(size=(len(codes), 512))).astype(np.float32)
        y = np.array([f"class {c}" for c in codes])
    hashes = np.zeros((len(y), 32), np.uint8)
    hashes[:, :8] = np.arange(len(y), dtype="<u8").view(np.uint8).reshape(-1, 8)
    return FitData({"embeddings": X}, y, [str(i) for i in range(len(y))], hashes)


def compare(data: FitData, head: str, sampler: str, rounds: int) -> dict[str, Any]:
    """Both sides in turn; how the choices, scores and times differ."""
    part, _, _ = split_data(data, use_test=False)
    fold = make_folds(part.y, part.components, part.classes, n_folds=5, seed=0).fold
    times: dict[str, list[float]] = {"plain": [], "featx": []}
    for _ in range(rounds):
        started = time.perf_counter()
        plain = plain_search(part, fold, head, sampler)
        times["plain"].append(time.perf_counter() - started)
        started = time.perf_counter()
        ours = fit_heads(data, FitConfig(head=[head], sampler=[sampler], estimate="cv"))
        times["featx"].append(time.perf_counter() - started)
    ratios = [p / f for p, f in zip(times["plain"], times["featx"], strict=True)]
    return {
        "head": head,
        "grid_points": len(plain.cv_results_["params"]),
        "plain_s": round(statistics.median(times["plain"]), 3),
        "featx_s": round(statistics.median(times["featx"]), 3),
        "speedup": {
            "min": round(min(ratios), 2),
            "median": round(statistics.median(ratios), 2),
            "max": round(max(ratios), 2),
        },
        "same_choice": same_choice(plain, ours),
        "chosen": {"sampler": ours.chosen.sampler, **ours.chosen.params},
        "largest_score_difference": score_difference(plain, ours),
    }


def plain_search(part: Part, fold: np.ndarray, head: str, sampler: str) -> GridSearchCV:
    """What one would write without featx."""
    counts = dict(enumerate(np.bincount(part.y[fold != 0]).tolist()))
    pipeline = Pipeline(
        [("scaler", StandardScaler()), ("sampler", None), ("head", HEADS.get(head).build(None, 0))]
    )
    grid = {f"head__{name}": values for name, values in HEADS.get(head).param_grid.items()}
    samplers = [None, SAMPLERS.get(sampler).build(counts, 0)]
    return GridSearchCV(
        pipeline,
        {**grid, "sampler": samplers},
        cv=PredefinedSplit(fold),
        scoring="balanced_accuracy",
        n_jobs=-1,
    ).fit(part.X["embeddings"], part.y)


def same_choice(plain: GridSearchCV, ours: FitResult) -> bool:
    """Whether both chose the same parameters and the same sampler."""
    best = plain.best_params_
    params = {f"head__{name}": value for name, value in ours.chosen.params.items()}
    sampled = best["sampler"] is not None
    return params == {k: v for k, v in best.items() if k != "sampler"} and sampled == (
        ours.chosen.sampler != "none"
    )


def score_difference(plain: GridSearchCV, ours: FitResult) -> float:
    """Largest difference between mean scores of the same grid point."""
    results = plain.cv_results_
    theirs = {
        (params["sampler"] is not None, key(params)): score
        for params, score in zip(results["params"], results["mean_test_score"], strict=True)
    }
    return max(
        abs(theirs[candidate.sampler != "none", key(point["params"])] - point["cv_mean"])
        for candidate in ours.candidates
        for point in candidate.grid
    )


def key(params: dict[str, Any]) -> tuple[Any, ...]:
    """A grid point without prefixes and sampler, as a dictionary key."""
    return tuple(sorted((k.removeprefix("head__"), v) for k, v in params.items() if k != "sampler"))


def print_table(document: dict[str, Any]) -> None:
    """The document for people."""
    print(
        f"{document['images']} embeddings of {document['n_features']} features, "
        f"none and {document['sampler']}, 5 folds, {document['cores']} cores"
    )
    for row in document["heads"]:
        speedup = row["speedup"]
        print(
            f"{row['head']:11} plain {row['plain_s']:7.2f} s  featx {row['featx_s']:7.2f} s  "
            f"{speedup['median']}x (from {speedup['min']} to {speedup['max']})  "
            f"same choice: {'yes' if row['same_choice'] else 'NO'} {row['chosen']}  "
            f"largest score difference {row['largest_score_difference']:.1e}"
        )


if __name__ == "__main__":
    main()

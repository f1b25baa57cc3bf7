"""What a search costs, and what doubling the images, features, classes or grid does to it.

    python benchmarks/fit_cost.py [--head logreg ...] [--rounds 3]

Made embeddings: overlapping classes of equal size, 5 folds, all cores, parameters found and the
classifier refitted, as `featx fit --estimate cv`. The least of the rounds counts. Writes
benchmarks/results/fit_cost.json, head by head, and prints a Markdown table.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from measuring import asked, keep, machine

from featx.config import FitConfig
from featx.fitting import FitData, fit_heads

RESULTS = Path(__file__).parent / "results" / "fit_cost.json"

BASE = {"images": 2000, "features": 512, "classes": 8, "points": 4}
GRIDS: dict[str, tuple[str, list[Any]]] = {  # eight points; the base takes every other one
    "logreg": ("C", list(np.geomspace(1e-4, 1e-1, 8))),
    "svm-linear": ("C", list(np.geomspace(1e-4, 1e-1, 8))),
    "svm-rbf": ("C", list(np.geomspace(1e-1, 1e2, 8))),
    "ridge": ("alpha", list(np.geomspace(1e1, 1e5, 8))),
    "lda": ("shrinkage", list(np.linspace(0.1, 0.8, 8))),
    "knn": ("n_neighbors", [1, 3, 5, 7, 9, 11, 13, 15]),
}


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--head", nargs="+", choices=GRIDS, default=list(GRIDS))
    parser.add_argument("--rounds", type=int, default=3)
    options = asked(parser)
    if options.quick:
        options.rounds, options.head = 1, ["logreg", "knn"]
        BASE.update(images=80, features=8, classes=2)
    before = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    here = machine()
    same = all(before.get(key) == value for key, value in here.items())
    heads = before["heads"] if same else {}
    sizes = {"base": BASE, **{name: {**BASE, name: 2 * value} for name, value in BASE.items()}}
    for head in options.head:
        cost(head, **BASE)  # what is imported on the way is not counted
        seconds = {
            name: min(cost(head, **size) for _ in range(options.rounds))
            for name, size in sizes.items()
        }
        heads[head] = {
            "base_s": round(seconds["base"], 2),
            "doubled": {name: round(seconds[name] / seconds["base"], 2) for name in BASE},
        }
        document = {
            "base": BASE,
            "date": datetime.date.today().isoformat(),
            **here,
            "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
            "heads": {name: heads[name] for name in GRIDS if name in heads},
        }
        keep(RESULTS, document, quick=options.quick)
    print(table(document))


def cost(head: str, *, images: int, features: int, classes: int, points: int) -> float:
    """Seconds of one search."""
    rng = np.random.default_rng(0)
    codes = np.arange(images) % classes
    centres = rng.normal(size=(classes, features)) * 0.2
    # features that go together, as those of networks do
    mixing = rng.normal(size=(features, features)) / np.sqrt(features)
    X = ((centres[codes] + rng.normal(size=(images, features))) @ mixing).astype(np.float32)
    hashes = np.zeros((images, 32), np.uint8)
    hashes[:, :8] = np.arange(images, dtype="<u8").view(np.uint8).reshape(-1, 8)
    y = np.char.add("class ", codes.astype(str))
    data = FitData({"embeddings": X}, y, [str(i) for i in range(images)], hashes)
    parameter, values = GRIDS[head]
    grid = {head: {parameter: values if points > BASE["points"] else values[::2]}}
    config = FitConfig(head=[head], estimate="cv", param_grid=grid)
    started = time.perf_counter()
    fit_heads(data, config)
    return time.perf_counter() - started


def table(document: dict[str, Any]) -> str:
    """The document as Markdown."""
    lines = [
        "| head | seconds | images × 2 | features × 2 | classes × 2 | grid × 2 |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in document["heads"].items():
        doubled = " | ".join(str(row["doubled"][size]) for size in BASE)
        lines.append(f"| {name} | {row['base_s']} | {doubled} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

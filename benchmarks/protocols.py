"""Linear-probe protocols of papers: one path of featx against a loop over C of scikit-learn's.

    python benchmarks/protocols.py --npz digits=FILE [--npz clothing=FILE] [--images 620]

FILE holds X (n, n_features) float32 and y. So many images, drawn at random, are fitted on and at
most 600 others are predicted. Times are processor seconds of one thread, both sides in turn. Equal
predictions are counted over images and values of C, also over those where scikit-learn
converged within its 1,000 iterations alone. Writes benchmarks/results/protocols.json, row by row.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from measuring import asked, keep, machine, versions
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from featx.config.protocols import PROTOCOLS
from featx.heads import HEADS, Training

RESULTS = Path(__file__).parent / "results" / "protocols.json"
TESTED = 600


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--npz", action="append", default=[], help="NAME=FILE")
    parser.add_argument("--images", type=int, default=620)
    parser.add_argument("--protocol", nargs="+", choices=PROTOCOLS, default=["dinov3", "clip"])
    options = asked(parser)
    document: dict[str, Any] = {"rows": {}}
    if RESULTS.exists() and not options.quick:
        document = json.loads(RESULTS.read_text("utf-8"))
    document |= {
        "date": datetime.date.today().isoformat(),
        **machine(),
        "versions": versions("scikit-learn", "numpy"),
    }
    for given in options.npz or ["made="]:
        name, _, path = given.partition("=")
        X, y = load(path)
        for protocol in options.protocol:
            row = compare(X, y, protocol, min(options.images, len(y) * 4 // 5))
            document["rows"][f"{name}, {protocol}"] = row
            print(name, protocol, row, flush=True)
            keep(RESULTS, document, quick=options.quick)
    print(table(document))


def load(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings in a random order, and class numbers."""
    rng = np.random.default_rng(0)
    if path:
        with np.load(path) as arrays:
            X, y = arrays["X"].astype(np.float32), arrays["y"]
    else:
        y = np.arange(60) % 3
        X = (rng.normal(size=(60, 8)) + np.eye(3, 8)[y]).astype(np.float32)
    order = rng.permutation(len(y))
    return X[order], np.unique(y, return_inverse=True)[1][order]


def compare(X: np.ndarray, y: np.ndarray, protocol: str, n: int) -> dict[str, Any]:
    """Both sides on the same images."""
    grid = PROTOCOLS[protocol]
    settings = {name: grid[name][0] for name in ("tol", "max_iter")}
    others = X[n : n + TESTED]
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.process_time()
        plain = [
            LogisticRegression(C=C, **settings).fit(X[:n].astype(np.float64), y[:n])
            for C in grid["C"]
        ]
        theirs = np.array([c.predict_proba(others.astype(np.float64)) for c in plain])
        plain_s, started = time.process_time() - started, time.process_time()
        unfitted = [LogisticRegression(C=C, **settings) for C in grid["C"]]
        scored = HEADS.get("logreg").score_grid(Training(X[:n], y[:n]), unfitted, [others])
        ours = np.array([each.outputs[0] for each in scored])
        featx_s = time.process_time() - started
    equal = ours.argmax(axis=2) == theirs.argmax(axis=2)
    ended = np.array([c.n_iter_[0] < settings["max_iter"] for c in plain])
    return {
        "images": n,
        "n_features": X.shape[1],
        "classes": int(y.max()) + 1,
        "values_of_c": len(plain),
        "plain_s": round(plain_s, 2),
        "featx_s": round(featx_s, 2),
        "ratio": round(plain_s / featx_s, 1),
        "predictions": equal.size,
        "different": int((~equal).sum()),
        "different_where_converged": int((~equal[ended]).sum()),
        "converged": int(ended.sum()),
    }


def table(document: dict[str, Any]) -> str:
    """For the documentation."""
    lines = [
        "| data, protocol | images × features, classes | scikit-learn, s | featx, s | ratio | "
        "different predictions | of these where scikit-learn converged |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, r in document["rows"].items():
        size = f"{r['images']:,} × {r['n_features']:,}, {r['classes']}"
        converged = f"{r['converged']} of {r['values_of_c']} values of C"
        lines.append(
            f"| {name} | {size} | {r['plain_s']:.1f} | {r['featx_s']:.1f} | {r['ratio']:.0f} | "
            f"{r['different']} of {r['predictions']:,} | "
            f"{r['different_where_converged']} ({converged}) |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

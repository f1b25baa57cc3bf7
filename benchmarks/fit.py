"""Fit: featx against plain GridSearchCV over an imbalanced-learn pipeline, in turn.

    python benchmarks/fit.py --npz FILE [--row logreg ...] [--sampler smote] [--rounds 3]

Both sides search the same grid on the same folds on all cores, with and without the sampler, and
refit the best. featx also evaluates the choice with bootstrap intervals and keeps its
predictions; that time counts. FILE holds X (n, n_features) float32 and y, as `featx cache export`
writes them; without it, 2,000 embeddings of 512 features in 10 imbalanced classes are made.

Scores and coefficients are compared with those of the plain search, and for logistic regression,
whose default tolerance leaves an error of its own, with the plain search in float64 at a tolerance
of 1e-6 (row `logreg-tight`), beside how far the plain search at its default is from that. Writes
benchmarks/results/fit.json, row by row: rows not asked for stay, if this machine made them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from joblib.externals.loky import get_reusable_executor
from measuring import asked, keep, machine
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.preprocessing import StandardScaler

from featx.config import FitConfig
from featx.data.splits import make_folds
from featx.fitting import FitData, FitResult, fit_heads
from featx.fitting.candidates import plan_setups
from featx.fitting.data import Part
from featx.fitting.splitting import split_data
from featx.heads import HEADS

RESULTS = Path(__file__).parent / "results" / "fit.json"

SMALLEST, LARGEST, WIDTH = 80, 320, 512  # classes and features that are made
PENALTIES = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]
ROWS: dict[str, tuple[str, dict[str, list[Any]] | None]] = {
    "logreg": ("logreg", {"C": PENALTIES}),
    "logreg-tight": ("logreg", {"C": PENALTIES, "tol": [1e-6]}),
    **{
        head: (head, None)
        for head in ("elastic-net", "svm-linear", "svm-rbf", "ridge", "lda", "knn")
    },
}


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--npz", type=Path)
    parser.add_argument("--row", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--sampler", default="smote")
    parser.add_argument("--rounds", type=int, default=3)
    options = asked(parser)
    if options.quick:
        options.rounds, options.row = 1, ["logreg", "ridge"]
        globals().update(SMALLEST=8, LARGEST=16, WIDTH=16)
    data = load(options.npz)
    document = {
        "data": options.npz.name if options.npz else "made: 10 classes, 8:1",
        "images": len(data.y),
        "n_features": data.X["embeddings"].shape[1],
        "sampler": options.sampler,
        "date": datetime.date.today().isoformat(),
        **machine(),
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
        "heads": [],
    }
    kept = {}
    if RESULTS.exists():
        before = json.loads(RESULTS.read_text("utf-8"))
        # rows of other data, versions or machines do not stand beside these
        apart = [
            key for key in document.keys() - {"date", "heads"} if before.get(key) != document[key]
        ]
        kept = {row["head"]: row for row in before["heads"]} if not apart else {}
    reference: GridSearchCV | None = None
    for name in sorted(options.row, key=lambda n: n != "logreg-tight"):
        kept[name], plain = compare(data, name, options.sampler, options.rounds, reference)
        reference = plain if name == "logreg-tight" else reference
        document["heads"] = [kept[n] for n in ROWS if n in kept]
        keep(RESULTS, document, quick=options.quick)
    print(table(document))


def load(path: Path | None) -> FitData:
    """Embeddings from a file, or made: classes of 40 to 320 that overlap."""
    if path is not None:
        with np.load(path) as arrays:
            X, y = arrays["X"].astype(np.float32), arrays["y"].astype(str)
    else:
        rng = np.random.default_rng(0)
        codes = np.repeat(np.arange(10), np.linspace(SMALLEST, LARGEST, 10).astype(int))
        centres = rng.normal(size=(10, WIDTH)) * 0.2
        X = (centres[codes] + rng.normal(size=(len(codes), WIDTH))).astype(np.float32)
        y = np.array([f"class {c}" for c in codes])
    hashes = np.zeros((len(y), 32), np.uint8)
    hashes[:, :8] = np.arange(len(y), dtype="<u8").view(np.uint8).reshape(-1, 8)
    return FitData({"embeddings": X}, y, [str(i) for i in range(len(y))], hashes)


def compare(
    data: FitData, name: str, sampler: str, rounds: int, reference: GridSearchCV | None
) -> tuple[dict[str, Any], GridSearchCV]:
    """Both sides in turn; how the choices, scores, coefficients, times and memory differ."""
    head, grid = ROWS[name]
    grid = grid or dict(HEADS.get(head).param_grid)
    part, _, _ = split_data(data, use_test=False)
    fold = make_folds(part.y, part.components, part.classes, n_folds=5, seed=0).fold
    config = FitConfig(
        head=[head],
        sampler=[sampler],
        class_weight="none",
        estimate="cv",
        param_grid={head: grid},
    )
    costs: dict[str, list[Cost]] = {"plain": [], "featx": []}
    for _ in range(rounds):
        plain = measure(costs["plain"], lambda: plain_search(part, fold, config))
        get_reusable_executor().shutdown()
        ours = measure(costs["featx"], lambda: fit_heads(data, config))
        print(f"{name}: plain {costs['plain'][-1]}, featx {costs['featx'][-1]}", flush=True)
    pairs = list(zip(costs["plain"], costs["featx"], strict=True))
    row = {
        "head": name,
        "grid": grid,
        "grid_points": len(plain.cv_results_["params"]),
        **{
            f"{side}_{unit}": round(statistics.median(getattr(c, unit) for c in costs[side]), 2)
            for unit in ("wall_s", "cpu_s", "peak_mib")
            for side in costs
        },
        "speedup": spread([p.wall_s / f.wall_s for p, f in pairs]),
        "cpu_speedup": spread([p.cpu_s / f.cpu_s for p, f in pairs]),
        "same_choice": same_choice(plain, ours),
        "chosen": {"sampler": ours.chosen.sampler, **ours.chosen.params},
        "largest_score_difference": difference(plain_scores(plain), featx_scores(ours)),
    }
    if hasattr(ours.pipeline.named_steps["head"], "coef_"):
        row["largest_coefficient_difference"] = coefficients_apart(plain, ours.pipeline)
    if reference is not None and name == "logreg":
        tight = plain_scores(reference)
        row["from_tight"] = {
            "plain_scores": difference(tight, plain_scores(plain)),
            "featx_scores": difference(tight, featx_scores(ours)),
            "plain_coefficients": coefficients_apart(reference, plain.best_estimator_),
            "featx_coefficients": coefficients_apart(reference, ours.pipeline),
        }
    return row, plain


@dataclass(frozen=True)
class Cost:
    """Of one run; memory is the most beyond what this process held before."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def spread(ratios: list[float]) -> dict[str, float]:
    """Least, median and most."""
    return {
        "min": round(min(ratios), 2),
        "median": round(statistics.median(ratios), 2),
        "max": round(max(ratios), 2),
    }


def measure(costs: list[Cost], run: Callable[[], Any]) -> Any:
    """Run; note what it cost this process and the worker processes that work meanwhile."""
    done = threading.Event()
    busy_before = {pid: cpu(pid) for pid in [os.getpid(), *children(os.getpid())]}
    held_before = resident(os.getpid())
    peak = 0

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            # workers that have done nothing yet are not counted
            working = [p for p in children(os.getpid()) if cpu(p) > busy_before.get(p, 0.0) + 0.05]
            held = resident(os.getpid()) - held_before + sum(map(resident, working))
            peak = max(peak, held)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    try:
        result = run()
    finally:
        wall = time.perf_counter() - started
        done.set()
        watcher.join()
    used = sum(cpu(p) - busy_before.get(p, 0.0) for p in [os.getpid(), *children(os.getpid())])
    costs.append(Cost(wall, used, peak / 2**20))
    return result


def cpu(pid: int) -> float:
    """Seconds of processor time that a process has used; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 when it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def plain_search(part: Part, fold: np.ndarray, config: FitConfig) -> GridSearchCV:
    """What one would write without featx; in float64 where a tight tolerance needs it."""
    head = config.head[0]
    grid = config.param_grid[head]
    X = part.X["embeddings"].astype(np.float64 if "tol" in grid else np.float32)
    pipeline = Pipeline(
        [("scaler", StandardScaler()), ("sampler", None), ("head", HEADS.get(head).build(None, 0))]
    )
    grids = []
    for setup in plan_setups(part.competing, config)[0]:
        own = {f"head__{name}": values for name, values in grid.items()}
        if setup.class_weight != "none":
            own["head__class_weight"] = [setup.class_weight]
        grids.append(
            {**own, "sampler": [SMOTE(random_state=0) if setup.sampler != "none" else None]}
        )
    search = GridSearchCV(
        pipeline, grids, cv=PredefinedSplit(fold), scoring="balanced_accuracy", n_jobs=-1
    )
    return search.fit(X, part.y)


def same_choice(plain: GridSearchCV, ours: FitResult) -> bool:
    """Whether both chose the same parameters, sampler and class weights."""
    chosen = ours.chosen
    mine = point(chosen.params, chosen.sampler != "none", chosen.class_weight)
    return point_of(plain.best_params_) == mine


Scores = dict[tuple[Any, ...], float]


def plain_scores(plain: GridSearchCV) -> Scores:
    """Mean score of every grid point."""
    results = plain.cv_results_
    return {
        point_of(params): score
        for params, score in zip(results["params"], results["mean_test_score"], strict=True)
    }


def featx_scores(ours: FitResult) -> Scores:
    """The same from featx."""
    return {
        point(p["params"], candidate.sampler != "none", candidate.class_weight): p["cv_mean"]
        for candidate in ours.candidates
        for p in candidate.grid
    }


def point(params: dict[str, Any], sampled: bool, class_weight: str) -> tuple[Any, ...]:
    """A grid point as a dictionary key, whatever the tolerance."""
    return sampled, class_weight, tuple(sorted((k, v) for k, v in params.items() if k != "tol"))


def point_of(params: dict[str, Any]) -> tuple[Any, ...]:
    """The same from the parameters of a plain pipeline."""
    own = {k.removeprefix("head__"): v for k, v in params.items() if k != "sampler"}
    return point(own, params["sampler"] is not None, own.pop("class_weight", None) or "none")


def difference(ones: Scores, others: Scores) -> float:
    """Largest difference between scores of the same grid point."""
    return max(abs(ones[p] - others[p]) for p in ones)


def coefficients_apart(plain: GridSearchCV, pipeline: Any) -> float | None:
    """Norm of the difference relative to the plain one's; None where the choices differ."""
    best, other = plain.best_estimator_.named_steps["head"], pipeline.named_steps["head"]
    a, b = np.asarray(best.coef_), np.asarray(other.coef_)
    chosen = [{**h.get_params(), "tol": None} for h in (best, other)]
    if chosen[0] != chosen[1]:
        return None
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))


def table(document: dict[str, Any]) -> str:
    """The document as Markdown."""
    lines = [
        "| head | grid points | times as fast | in processor time | MiB, plain and featx "
        "| same choice | mean scores differ by |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in document["heads"]:
        speed, cpu_speed = row["speedup"], row["cpu_speedup"]
        lines.append(
            f"| {row['head']} | {row['grid_points']} "
            f"| {speed['median']} ({speed['min']} to {speed['max']}) "
            f"| {cpu_speed['median']} | {row['plain_peak_mib']:,.0f} and "
            f"{row['featx_peak_mib']:,.0f} | {'yes' if row['same_choice'] else 'no'} "
            f"| {row['largest_score_difference']:.4f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

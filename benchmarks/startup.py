"""Start-up: what a command costs before it does anything, each run in a process of its own.

    python benchmarks/startup.py [--rounds 10] [--backbone featx:mini-v1]

Wall-clock seconds of whole processes, best and median of the rounds, and the least processor time
(which a busy machine disturbs less): an empty Python, `import featx`, `featx --help`; loading a
model of 2,048 features and 10 classes and predicting 100 rows, from its arrays and by the pipeline
of scikit-learn that is built of them, in turn; and `featx score` of 10 made photographs (400x533)
with the network kept from an earlier run, once with nothing cached and once with every embedding
cached. Writes benchmarks/results/startup.json.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measuring import asked, cpu_of_children_s, keep, load_average, machine

RESULTS = Path(__file__).parent / "results" / "startup.json"
FEATX = [sys.executable, "-m", "featx"]
HEADS = ("logreg", "svm-linear")
N_FEATURES, N_CLASSES = 2048, 10

LOAD = """
import sys, featx, numpy as np
model = featx.load_model(sys.argv[1])
print(model.predict_proba(np.load(sys.argv[2])).argmax(axis=1).sum())
"""
PLAIN = """
import sys, featx, numpy as np
model = featx.load_model(sys.argv[1]).pipeline
X = np.load(sys.argv[2])
method = getattr(model, "predict_proba", None) or model.decision_function
print(method(X).argmax(axis=1).sum())
"""
SCORE = """
import sys
from featx.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print("torch" in sys.modules)
"""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--backbone", default="featx:mini-v1")
    options = asked(parser)
    if options.quick:
        options.rounds = 1
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        document = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            **machine(),
            "versions": own_versions(),
            "rounds": options.rounds,
            "load_before": round(load_average(), 2),
            "commands": list(commands(options.rounds)),
            "score": score(options.backbone, scratch, options.rounds),
            # three rounds say enough: the two sides are an order of magnitude apart
            "models": [load(kind, scratch, min(options.rounds, 3)) for kind in HEADS],
        }
    keep(RESULTS, document, quick=options.quick)
    print_tables(document)


def own_versions() -> dict[str, str]:
    """Of Python and of the packages that start-up depends on."""
    names = ("featx", "click", "pydantic", "numpy", "scikit-learn", "h5py", "torch")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), **found}


@dataclass(frozen=True)
class Cost:
    """Seconds that a process took."""

    wall_s: float
    cpu_s: float


def run(command: list[str], **environment: str) -> tuple[Cost, str]:
    """What a process costs, and the last line it prints."""
    environment = {**os.environ, **environment}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed featx has its bytecode
    started, before = time.perf_counter(), cpu_of_children_s()
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    elapsed, cpu_s = time.perf_counter() - started, cpu_of_children_s() - before
    if result.returncode != 0:
        raise SystemExit(result.stderr)
    return Cost(elapsed, cpu_s), (result.stdout.splitlines() or [""])[-1]


def seconds(costs: list[Cost]) -> dict[str, float]:
    """Best and median, and the least processor time."""
    times = [cost.wall_s for cost in costs]
    return {
        "best_s": round(min(times), 3),
        "median_s": round(statistics.median(times), 3),
        "cpu_s": round(min(cost.cpu_s for cost in costs), 3),
    }


def commands(rounds: int) -> Iterator[dict[str, Any]]:
    """The commands that should cost nothing."""
    for name, command in (
        ("python -c pass", [sys.executable, "-c", "pass"]),
        ("import featx", [sys.executable, "-c", "import featx"]),
        ("featx --help", [*FEATX, "--help"]),
        ("featx score --help", [*FEATX, "score", "--help"]),
    ):
        run(command)
        yield {"name": name, **seconds([run(command)[0] for _ in range(rounds)])}


def load(kind: str, scratch: Path, rounds: int) -> dict[str, Any]:
    """Load a model and predict, by its arrays and by scikit-learn in turn."""
    model, rows = save(kind, scratch)
    sides = {"featx": LOAD, "plain": PLAIN}
    costs: dict[str, list[Cost]] = {side: [] for side in sides}
    answers = set()
    for _ in range(rounds):
        for side, code in sides.items():
            cost, answer = run([sys.executable, "-c", code, str(model), str(rows)])
            costs[side].append(cost)
            answers.add(answer)
    pairs = zip(costs["plain"], costs["featx"], strict=True)
    ratios = [plain.wall_s / ours.wall_s for plain, ours in pairs]
    return {
        "head": kind,
        "featx": seconds(costs["featx"]),
        "plain": seconds(costs["plain"]),
        "ratio": {
            "min": round(min(ratios), 1),
            "median": round(statistics.median(ratios), 1),
            "max": round(max(ratios), 1),
        },
        "same_predictions": len(answers) == 1,
    }


def save(kind: str, scratch: Path) -> tuple[Path, Path]:
    """A model fitted on made embeddings, and a file of embeddings to predict."""
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    from featx.artifact import Model, ModelExtractor, save_model
    from featx.heads import HEADS as PLUGINS

    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(N_CLASSES), 40)
    centres = rng.normal(size=(N_CLASSES, N_FEATURES)) * 0.1
    X = (centres[y] + rng.normal(size=(len(y), N_FEATURES))).astype(np.float32)
    pipeline = Pipeline([("scaler", StandardScaler()), ("head", PLUGINS.get(kind).build(None, 0))])
    pipeline.fit(X, np.array([f"class {k}" for k in y]))
    model = Model(
        classes=pipeline.classes_.tolist(),
        head=pipeline,
        extractors=[
            ModelExtractor({"backbone": "made", "n_features": N_FEATURES}, {"name": "made"})
        ],
    )
    save_model(model, scratch / kind)
    np.save(scratch / "rows.npy", X[:: len(X) // 100][:100])
    return scratch / kind, scratch / "rows.npy"


def score(backbone: str, scratch: Path, rounds: int) -> dict[str, Any]:
    """Score 10 photographs: nothing cached but the network kept, then everything cached."""
    for i in range(30):
        photograph(scratch / "photos" / f"class {i % 3}" / f"{i}.jpg", seed=i)
    for i in range(10):
        photograph(scratch / "new" / f"{i}.jpg", seed=100 + i)
    environment = {"FEATX_NETWORKS": str(scratch / "networks"), "FEATX_CACHE": str(scratch / "c")}
    fit = ["fit", "photos", "--backbone", backbone, "--name", "m", "--estimate", "cv", "--cv", "3"]
    fit = [argument.replace("photos", str(scratch / "photos")) for argument in fit]
    run([*FEATX, *fit, "--runs", str(scratch / "runs")], **environment)
    command = [
        *(sys.executable, "-c", SCORE, "score", str(scratch / "runs" / "m"), str(scratch / "new")),
        *("-o", str(scratch / "scores.csv"), "--overwrite"),
    ]
    run(command, **environment)
    fresh, cached = [], []
    for i in range(rounds):
        elsewhere = {**environment, "FEATX_CACHE": str(scratch / f"cache-{i}")}
        cost, torch = run(command, **elsewhere)
        fresh.append(cost)
        cached.append(run(command, **environment)[0])
    return {
        "backbone": backbone,
        "images": 10,
        "network_kept": seconds(fresh),
        "network_kept_imports_torch": torch == "True",
        "embeddings_cached": seconds(cached),
    }


def photograph(path: Path, seed: int) -> None:
    """A JPEG with the frequencies of a photograph: gradients with a little noise."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
    smooth = np.asarray(coarse.resize((533, 400), Image.Resampling.BICUBIC), np.int16)
    noisy = smooth + rng.normal(0, 6, smooth.shape).astype(np.int16)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)


def print_tables(document: dict[str, Any]) -> None:
    """The document for people."""
    print(
        f"{document['processor']}, {document['cores']} cores, load {document['load_before']}; "
        "seconds: best, median, processor"
    )

    def show(name: str, row: dict[str, float]) -> None:
        print(f"{name:40} {row['best_s']:6.3f} {row['median_s']:6.3f} {row['cpu_s']:6.3f}")

    for row in document["commands"]:
        show(row["name"], row)
    for row in document["models"]:
        for side in ("featx", "plain"):
            show(f"load and predict, {row['head']}, {side}", row[side])
        ratio, same = row["ratio"], "yes" if row["same_predictions"] else "NO"
        print(f"  {ratio['median']}x ({ratio['min']} to {ratio['max']}), same predictions: {same}")
    found = document["score"]
    for key in ("network_kept", "embeddings_cached"):
        show(f"score 10 images, {key.replace('_', ' ')}", found[key])
    print(f"  torch imported: {'yes' if found['network_kept_imports_torch'] else 'no'}")


if __name__ == "__main__":
    main()

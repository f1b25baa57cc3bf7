"""One answer for a group: do its prediction sets hold, and are its rows those of the images?

    python benchmarks/bags.py STORES [--repeats 100] [--quick] [--attention]

STORES is a folder with ``malaria.npz``, ``pacs.npz`` and ``plankton.npz``: ``X`` (embeddings),
``y`` (classes) and ``groups`` (patients; empty texts where there are none), as `featx export
--to npz` or any other tool writes them. Each repeat draws bags of images of one class (malaria: of
one patient and class; else at random), fits on some of them with `featx.fitting.fit_heads`, and
answers for the others with `featx.artifact.Model.predict_groups`.

``covered`` is the share of new bags whose true class reaches its threshold, which is what conformal
prediction promises on average; ``in_set`` that of sets, which always hold the predicted class too,
so it is larger where more bags are right than the sets are meant to cover. ``out_of_fold`` is the
accuracy that the fit printed for groups, ``true`` that on the new bags. ``--attention`` also trains
gated attention pooling (Ilse, Tomczak and Welling, "Attention-based deep multiple instance
learning", ICML 2018) on the same bags. Draws are kept in STORES, so that a run can be stopped.

Writes benchmarks/results/bags.json and prints a Markdown table. With --quick few repeats, and
nothing is written.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from featx.artifact.conformity import conformities
from featx.artifact.grouped import predict_groups
from featx.config import FitConfig
from featx.fitting import FitData, fit_heads

RESULTS = Path(__file__).parent / "results" / "bags.json"
N_FEATURES = 64  # principal axes, of all images and without labels, to keep repeats cheap
WAYS = ("mean", "vote")
COVERAGE = 0.9
DATA = {  # images in a bag, bags to fit on
    "malaria": ((1, 4), 80),
    "pacs": ((1, 3), 80),
    "plankton": ((2, 5), 120),
}
LEAST = 60  # images of a class, to make bags of
NEAR = 0.02  # what coverage is to be within


def bags_of(y: np.ndarray, groups: np.ndarray, sizes: tuple[int, int], rng: Any) -> list[Any]:
    """Rows of each bag: all of one class, and of one patient where patients are known."""
    found = []
    keys = np.array([f"{g}\0{c}" for g, c in zip(groups, y, strict=True)])
    for key in np.unique(keys):
        rows = rng.permutation(np.flatnonzero(keys == key))
        if groups[rows[0]] != "":
            found.append(rows[: rng.integers(sizes[0], sizes[1] + 1)])
            continue
        while len(rows) >= sizes[1]:
            n = rng.integers(sizes[0], sizes[1] + 1)
            found.append(rows[:n])
            rows = rows[n:]
    return [found[i] for i in rng.permutation(len(found))]


def made(X: np.ndarray, y: np.ndarray, bags: list[np.ndarray]) -> FitData:
    """The images of some bags, with the bag as their group."""
    rows = np.concatenate(bags)
    hashes = np.zeros((len(rows), 32), np.uint8)
    hashes[:, :8] = rows.astype("<u8").view(np.uint8).reshape(-1, 8)
    names = np.repeat([f"bag {i}" for i in range(len(bags))], [len(bag) for bag in bags])
    return FitData({"e": X[rows]}, y[rows], [str(row) for row in rows], hashes, names)


def repeat(X: np.ndarray, y: np.ndarray, groups: np.ndarray, name: str, seed: int) -> dict:
    """One draw: fitted on some bags, held against the others."""
    rng = np.random.default_rng(seed)
    sizes, n_fit = DATA[name]
    bags = bags_of(y, groups, sizes, rng)
    data, new = made(X, y, bags[:n_fit]), bags[n_fit : n_fit + 400]
    config = FitConfig(jobs=1, seed=seed, estimate="cv", head=["logreg"], sampler=["none"],
                       coverage=COVERAGE, param_grid={"logreg": {"C": [0.1]}})  # fmt: skip
    result = fit_heads(data, config)
    known = {name: i for i, name in enumerate(result.classes)}
    new = [bag for bag in new if y[bag[0]] in known]
    rows = np.concatenate(new)
    proba = result.pipeline.predict_proba(X[rows])
    names = [str(i) for i, bag in enumerate(new) for _ in bag]
    true = np.array([known[y[bag[0]]] for bag in new])
    right = proba.argmax(axis=1) == np.repeat(true, [len(bag) for bag in new])
    row: dict[str, Any] = {}
    trust = result.trust.trust
    assert trust.groups is not None
    printed = result.estimate["by_group"]["metrics"]["accuracy"]["value"]
    for way in WAYS:
        found = predict_groups(trust, result.classes, proba, proba.argmax(axis=1), names, way=way)
        sets = trust.groups.sets[way]
        reached = conformities(sets.method, found.probabilities) >= np.array(sets.thresholds)
        assert found.sets is not None
        at = np.arange(len(true))
        row[way] = {
            "covered": float(reached[at, true].mean()),
            "in_set": float(found.sets[at, true].mean()),
            "size": float(found.sets.sum(axis=1).mean()),
            "true": float((found.y_pred == true).mean()),
            "images": float(right.mean()),
            "out_of_fold": printed if way == "mean" else None,
            "unequal": unequal(found, proba, names) if way == "mean" and groups[0] else None,
        }
    return row


def unequal(found: Any, proba: np.ndarray, names: list[str]) -> int:
    """Groups whose probabilities are not the mean of those of their images."""
    of = np.array(names)
    again = [proba[of == name].mean(axis=0, dtype=np.float64) for name in found.names]
    return int((~np.isclose(found.probabilities, again, rtol=0, atol=1e-12)).any(axis=1).sum())


def attention(X: np.ndarray, y: np.ndarray, groups: np.ndarray, name: str, seed: int) -> float:
    """Accuracy of gated attention pooling on the new bags of the same draw."""
    import torch

    rng = np.random.default_rng(seed)
    sizes, n_fit = DATA[name]
    bags = bags_of(y, groups, sizes, rng)
    fitted, new = bags[:n_fit], bags[n_fit : n_fit + 400]
    rows = np.concatenate(fitted)
    centre, spread = X[rows].mean(axis=0), X[rows].std(axis=0).max() / 3
    classes = {c: i for i, c in enumerate(np.unique(y[rows]))}
    new = [bag for bag in new if y[bag[0]] in classes]
    torch.manual_seed(seed)
    V, U, w = (
        torch.nn.Linear(N_FEATURES, 32),
        torch.nn.Linear(N_FEATURES, 32),
        torch.nn.Linear(32, 1),
    )
    head = torch.nn.Linear(N_FEATURES, len(classes))
    parts = torch.nn.ModuleList([V, U, w, head])
    optimiser = torch.optim.AdamW(parts.parameters(), lr=3e-3, weight_decay=1e-1)

    def padded(some: list[np.ndarray]) -> tuple[Any, Any]:
        H = torch.zeros(len(some), sizes[1], N_FEATURES)
        there = torch.zeros(len(some), sizes[1], dtype=torch.bool)
        for i, bag in enumerate(some):
            H[i, : len(bag)] = torch.from_numpy((X[bag] - centre) / spread)
            there[i, : len(bag)] = True
        return H, there

    def logits(H: Any, there: Any) -> Any:
        scores = w(torch.tanh(V(H)) * torch.sigmoid(U(H))).squeeze(-1)
        a = torch.softmax(scores.masked_fill(~there, -torch.inf), dim=1)
        return head((a.unsqueeze(-1) * H).sum(dim=1))

    H, there = padded(fitted)
    labels = torch.tensor([classes[y[bag[0]]] for bag in fitted])
    for _ in range(100):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(logits(H, there), labels).backward()
        optimiser.step()
    with torch.no_grad():
        said = logits(*padded(new)).argmax(dim=1).numpy()
    return float((said == np.array([classes[y[bag[0]]] for bag in new])).mean())


def loaded(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings on their first principal axes, classes with enough images, and groups."""
    with np.load(path) as arrays:
        X, y, groups = arrays["X"], arrays["y"].astype(str), arrays["groups"].astype(str)
    names, counts = np.unique(y, return_counts=True)
    kept = np.isin(y, names[np.argsort(-counts)[:10]][counts[np.argsort(-counts)[:10]] >= LEAST])
    X, y, groups = X[kept], y[kept], groups[kept]
    X = (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-6)
    axes = np.linalg.eigh(X.T @ X)[1][:, ::-1][:, :N_FEATURES]
    return (X @ axes).astype(np.float32), y, groups


def each(make: Any, arrays: tuple, name: str, seed: int, place: Path) -> Any:
    """One draw; what is known from a run that was stopped is not made again."""
    key = [make.__name__, name, seed]
    if place.exists():
        for line in place.read_text().splitlines():
            if json.loads(line)["key"] == key:
                return json.loads(line)["found"]
    found = make(*arrays, name, seed)
    with place.open("a") as file:
        file.write(json.dumps({"key": key, "found": found}) + "\n")
    return found


def summary(rows: list[dict]) -> dict[str, Any]:
    """Means over the repeats, and the standard error of the coverage."""
    found: dict[str, Any] = {}
    for way in WAYS:
        values = {k: [r[way][k] for r in rows if r[way][k] is not None] for k in rows[0][way]}
        found[way] = {k: round(float(np.mean(v)), 4) for k, v in values.items() if v}
        if values["unequal"]:
            found[way]["unequal"] = int(np.sum(values["unequal"]))
        error = np.std(values["covered"], ddof=1) / np.sqrt(len(rows))
        found[way]["covered_error"] = round(float(error), 4)
    return found


def main() -> int:
    """Repeat, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stores", type=Path)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--attention", action="store_true")
    asked = parser.parse_args()
    n = 5 if asked.quick else asked.repeats
    document: dict[str, Any] = {"coverage": COVERAGE, "repeats": n}
    print("| data | way | images right | groups right | out of fold | covered | in set | size |")
    print("|---|---|---|---|---|---|---|---|")
    for name in DATA:
        arrays = loaded(asked.stores / f"{name}.npz")
        place = asked.stores / f"bags-{name}.jsonl"
        found = summary([each(repeat, arrays, name, seed, place) for seed in range(n)])
        if asked.attention:
            right = [each(attention, arrays, name, seed, place) for seed in range(n)]
            found["attention"] = round(float(np.mean(right)), 4)
        document[name] = found
        for way in WAYS:
            r = found[way]
            printed = f"{100 * r['out_of_fold']:.1f} %" if "out_of_fold" in r else "–"
            print(
                f"| {name} | {way} | {100 * r['images']:.1f} % | {100 * r['true']:.1f} % "
                f"| {printed} | {100 * r['covered']:.1f} ± {100 * r['covered_error']:.1f} % "
                f"| {100 * r['in_set']:.1f} % | {r['size']:.2f} |", flush=True
            )  # fmt: skip
        if asked.attention:
            print(
                f"| {name} | attention | | {100 * found['attention']:.1f} % | | | | |", flush=True
            )
    means = [document[name]["mean"] for name in DATA]
    off = [m for m in means if abs(m["covered"] - COVERAGE) > NEAR or m.get("unequal")]
    if not asked.quick:
        RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    return int(bool(off))


if __name__ == "__main__":
    sys.exit(main())

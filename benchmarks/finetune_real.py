"""Fine-tuning on real images: featx's defaults against frozen features and plain loops.

    python benchmarks/finetune_real.py --data DATA --weights SQUEEZENET --folder FOLDER
    python benchmarks/finetune_real.py ... --only clothing-1000/lite0 --seeds 0 1 2

A row is a data set and a backbone, a column a way to train, a cell a seed. Each cell is written to
benchmarks/results/finetune_real.json as it ends, and is not run again; ``--only`` takes the
beginning of ``SET/BACKBONE/COLUMN/SEED``. DATA holds ``clothing/``, ``plankton/``, ``pacs.csv`` and
``bccd.csv``. Sets: 250, 500, 1,000 or all training photographs of clothing; the 1,000, tested on
all other photographs but the test images (``rest``: there recipes are chosen); 2,000 of plankton,
tested on the rest; pacs without one domain, tested on it and on a fifth of the others; bccd in five
grouped folds. Columns: ``frozen`` (`featx fit`), ``old`` (defaults before presets, as flags),
``quick``, ``new`` (the balanced preset), ``first`` (the same without its refit), ``last`` (that
without averaging weights; with it also ``3e-4``, another rate, and ``random`` and ``fitted``,
either head), ``plain`` (the loop of plain_loop.py) and ``best`` (the best such loop found).
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import asked, cpu_of_children_s, keep, machine

RESULTS = Path(__file__).parent / "results" / "finetune_real.json"
SETS = ("clothing-1000", "clothing-rest", "pacs-sketch", "bccd", "plankton", "clothing-all",
        "clothing-250", "clothing-500")  # fmt: skip
BACKBONES = {
    "lite0": ["--backbone", "featx:lite0", "--size", "128"],
    "squeezenet": ["--backbone", "torchvision:squeezenet1_0", "--size", "128"],
    "mini": ["--backbone", "featx:mini-v1"],
}
OLD = ["--start", "fitted", "--head-rate", "1", "--learning-rate", "1e-4", "--layer-decay", "0.75",
       "--epochs", "10", "--warmup", "0.1", "--label-smoothing", "0", "--augment", "light",
       "--monitor", "loss", "--patience", "5", "--average-last", "0", "--no-refit"]  # fmt: skip
LAST = ["--average-last", "0", "--no-refit"]
COLUMNS: dict[str, list[str]] = {
    "frozen": [],
    "old": OLD,
    "quick": ["--preset", "quick"],
    "new": [],
    "first": ["--no-refit"],
    "last": LAST,
    "3e-4": [*LAST, "--learning-rate", "3e-4"],
    "random": [*LAST, "--start", "random"],
    "fitted": [*LAST, "--start", "fitted"],
    "plain": [],
    "best": [],
}
BEST: dict[str, dict[str, Any]] = {
    "lite0": {},
    "squeezenet": {"rate": 1e-4, "head_rate": 1e-3},
    "mini": {},
}
PLAIN = ("plain", "best")
METRICS = ("accuracy", "balanced_accuracy", "log_loss")


def main() -> None:
    """Run the cells that are not there, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", action="append", help="the beginning of cells' names")
    parser.add_argument("--columns", nargs="+", choices=tuple(COLUMNS), default=list(COLUMNS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = asked(parser, needs=["data", "weights"], folders=["folder"])
    options.data, options.weights = options.data.resolve(), options.weights.resolve()
    if options.child:
        print(json.dumps(plain_cell(options, *options.child.split("/"))))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() and not options.quick else {}
    cells = document.get("cells", {})
    for name in wanted(options):
        if name in cells:
            continue
        cells[name] = run_cell(options, name)
        print(name, cells[name], flush=True)
        document = {"date": datetime.date.today().isoformat(), "machine": machine(), "cells": cells}
        keep(RESULTS, document, quick=options.quick)
    print(table(cells), verdicts(cells), sep="\n\n")


def wanted(options: argparse.Namespace) -> list[str]:
    """Names of cells, in the order in which they are run."""
    if options.quick:
        return [f"clothing-250/mini/{column}/0" for column in ("frozen", "quick", "plain")]
    names = [
        f"{data}/{backbone}/{column}/{seed}"
        for seed in options.seeds
        for backbone in BACKBONES
        for data in SETS
        for column in options.columns
    ]
    return [n for n in names if not options.only or n.startswith(tuple(options.only))]


def rows_of(data: Path, name: str) -> list[dict[str, str]]:
    """``path``, ``label``, ``split``, ``group`` and ``domain`` of each image, the same every time;
    of bccd, which is judged in folds, the split is the fold."""
    rng = np.random.default_rng(0)
    kind, _, which = name.partition("-")
    if kind == "clothing":
        splits = ("train", "validation") if which == "all" else ("train",)
        train = [p for split in splits for p in sorted((data / "clothing" / split).glob("*/*.jpg"))]
        if which != "all":
            n = 1000 if which == "rest" else int(which)
            train = [train[i] for i in sorted(rng.permutation(len(train))[:n])]
        judging = ("train", "validation") if which == "rest" else ("test",)
        test = [p for split in judging for p in sorted((data / "clothing" / split).glob("*/*.jpg"))]
        test = sorted(set(test) - set(train))
        return [row(p, "train") for p in train] + [row(p, "test") for p in test]
    if kind == "plankton":
        paths = sorted((data / "plankton").glob("*/*.*"))
        chosen = set(rng.permutation(len(paths))[:2000].tolist())
        return [row(p, "train" if i in chosen else "test") for i, p in enumerate(paths)]
    with (data / f"{kind}.csv").open() as file:
        listed = list(csv.DictReader(file))
    if kind == "bccd":
        return in_folds(data, listed)
    rest = [r for r in listed if r["domain"] != which]
    held = set(rng.permutation(len(rest))[: len(rest) // 5].tolist())
    kept = [
        row(data / r["path"], "test" if i in held else "train", domain=r["domain"])
        for i, r in enumerate(rest)
    ]
    left_out = [r for r in listed if r["domain"] == which]
    return kept + [row(data / r["path"], "test", domain=which) for r in left_out]


def row(path: Path, split: str, *, group: str = "", domain: str = "") -> dict[str, str]:
    """One image; its label is its folder."""
    named = {"path": str(path), "label": path.parent.name, "split": split}
    return {**named, "group": group, "domain": domain}


def in_folds(data: Path, listed: list[dict[str, str]]) -> list[dict[str, str]]:
    """Each image with the fold that judges it, by the rule of featx."""
    from sklearn.model_selection import StratifiedGroupKFold

    groups, labels = [r["group"] for r in listed], [r["label"] for r in listed]
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(labels, labels, groups)
    fold = {i: k for k, (_, judged) in enumerate(folds) for i in judged}
    return [row(data / r["path"], str(fold[i]), group=r["group"]) for i, r in enumerate(listed)]


def run_cell(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """What one way to train reaches, and what it took."""
    data, backbone, column, seed = name.split("/")
    started, cpu = time.perf_counter(), cpu_of_children_s()
    if column in PLAIN:
        shared = ["--data", options.data, "--weights", options.weights, "--folder", options.folder]
        command = [sys.executable, __file__, *map(str, shared), "--child", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return dict(json.loads(done.stdout.splitlines()[-1]))
    manifest = write_manifest(options, data)
    words = [*manifest, "--no-report", "--name", name.replace("/", "_")]
    if column == "frozen":
        weights = ["--weights", str(options.weights)] if backbone == "squeezenet" else []
        words = ["fit", *words, *BACKBONES[backbone], *weights, "--seed", seed]
        words += ["--cv", "5"] if data == "bccd" else []
    else:
        start = name.replace(f"/{column}/", "/frozen/").replace("/", "_")
        words = ["finetune", *words, "--from", f"runs/{start}", *COLUMNS[column]]
    featx(options.folder, words, f"{name.replace('/', '_')}.log")
    took = {
        "clock_s": round(time.perf_counter() - started, 1),
        "processor_s": round(cpu_of_children_s() - cpu, 1),
    }
    folder = options.folder / "runs" / name.replace("/", "_")
    return {**took, **judged(folder, rows_of(options.data, data)), **trained(folder)}


def write_manifest(options: argparse.Namespace, data: str) -> list[str]:
    """A table of the images for featx, as the words of its command line."""
    path = options.folder / f"{data}.csv"
    columns = ["path", "label", "group"] if data == "bccd" else ["path", "label", "split"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows_of(options.data, data))
    return [str(path.resolve()), "--root", str(options.data)]


def featx(folder: Path, arguments: list[str], log: str) -> None:
    """One command in ``folder``."""
    environment = {**os.environ, "FEATX_CACHE": "cache"}
    with (folder / log).open("w") as stream:
        command = [sys.executable, "-m", "featx", *arguments]
        subprocess.run(
            command, cwd=folder, env=environment, stdout=stream, stderr=stream, check=True
        )


def judged(folder: Path, rows: list[dict[str, str]]) -> dict[str, Any]:
    """Metrics of a run's predictions: of all images that judge, and of each domain."""
    results = json.loads((folder / "results.json").read_text("utf-8"))
    classes = results["classes"]
    domain = {_short(r["path"]): r["domain"] for r in rows}
    split = {"test": "test", "nested": "nested", "cv": "oof"}[results["estimate"]["method"]]
    with (folder / "predictions.csv").open() as file:
        said = [r for r in csv.DictReader(file) if r["split"] == split]
    y = np.array([classes.index(r["y_true"]) for r in said])
    p = np.array([[float(r[f"p_{c}"]) for c in classes] for r in said])
    return measured(y, p, [domain[_short(r["id"])] for r in said], folder.name)


def _short(path: str) -> str:
    """A file with its folder, which no two images share."""
    return "/".join(path.split("/")[-2:])


def measured(y: Any, p: Any, domains: list[str], name: str) -> dict[str, Any]:
    """Metrics of all images; where a domain was left out, of the others, and of it as ``out``."""
    out = np.array([d != "" and name.startswith(f"pacs-{d}") for d in domains])
    found = {"metrics": metrics(y[~out], p[~out])}
    return {**found, "out": metrics(y[out], p[out])} if out.any() else found


def metrics(y: Any, p: Any) -> dict[str, float]:
    """Accuracy, mean recall and log loss."""
    right = p.argmax(axis=1) == y
    recalls = [right[y == c].mean() for c in np.unique(y)]
    losses = -np.log(np.clip(p[np.arange(len(y)), y], 1e-15, 1))
    values = right.mean(), np.mean(recalls), losses.mean()
    return {k: round(float(v), 4) for k, v in zip(METRICS, values, strict=True)}


def trained(folder: Path) -> dict[str, Any]:
    """Which model a fine-tune kept."""
    results = json.loads((folder / "results.json").read_text("utf-8"))
    tuning = results.get("finetuning")
    if tuning is None:
        return {}
    other = next(iter(results["estimates"].values()))["metrics"]
    return {
        "answer": tuning["answer"],
        "tried": tuning["tried"]["recipe"],
        "other": {k: round(other[k]["value"], 4) for k in METRICS},
        "change": tuning["change"]["score"],
    }


def plain_cell(
    options: argparse.Namespace, data: str, backbone: str, column: str, seed: str
) -> dict[str, Any]:
    """The plain loop, in a process of its own."""
    from plain_loop import Pictures, Plain, train_plain

    from featx.backbones import load_backbone
    from featx.finetuning.memory import keeping_memory
    from featx.types import BackboneRequest

    name, *size = (word for word in BACKBONES[backbone] if not word.startswith("--"))
    weights = str(options.weights) if backbone == "squeezenet" else None
    request = BackboneRequest(name, weights=weights, size_px=int(size[0]) if size else None)
    loaded = load_backbone(request)
    rows = rows_of(options.data, data)
    pictures = Pictures([Path(r["path"]) for r in rows], loaded.preprocess)
    classes = sorted({r["label"] for r in rows})
    y = np.array([classes.index(r["label"]) for r in rows])
    recipe = Plain(**(BEST[backbone] if column == "best" else {}))
    splits = np.array([r["split"] for r in rows])
    held = sorted(set(splits) - {"train"})
    p, took = np.zeros((len(y), len(classes))), {"clock_s": 0.0, "processor_s": 0.0}
    for fold in held:
        train, test = np.flatnonzero(splits != fold), np.flatnonzero(splits == fold)
        width = loaded.outputs[0].n_features
        with keeping_memory("cpu"):
            p[test], more = train_plain(
                loaded.network, width, pictures, y, train, test, recipe, int(seed)
            )
        took = {k: round(took[k] + more[k], 1) for k in took}
    judges = np.isin(splits, held)
    domains = [r["domain"] for r in rows if r["split"] != "train"]
    return {**took, **measured(y[judges], p[judges], domains, data)}


def table(cells: dict[str, Any]) -> str:
    """Accuracy, and balanced accuracy in brackets, of each row and column: the mean over seeds."""
    columns = [c for c in COLUMNS if any(name.split("/")[2] == c for name in cells)]
    lines = ["| row | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in dict.fromkeys("/".join(name.split("/")[:2]) for name in cells):
        for key, more in (("metrics", ""), ("out", ", the domain left out")):
            found = [[v[key] for k, v in cells.items() if k.startswith(f"{name}/{c}/") and key in v]
                     for c in columns]  # fmt: skip
            if any(found):
                lines.append(f"| {name}{more} | {' | '.join(map(_cell, found))} |")
    return "\n".join(lines)


def verdicts(cells: dict[str, Any]) -> str:
    """What the defaults change against frozen features, paired, and what each took."""
    lines = [
        "| row, seed | column | frozen, it | it less frozen [95 %] | minutes: frozen, it, plain |",
        "|---|---|---|---|---|",
    ]
    for name, cell in cells.items():
        data, backbone, column, seed = name.split("/")
        if column not in ("new", "first"):
            continue
        c = cell["change"]
        took = [cells.get(f"{data}/{backbone}/{other}/{seed}", {}).get("processor_s")
                for other in ("frozen", column, "plain")]  # fmt: skip
        minutes = ", ".join("–" if s is None else f"{s / 60:.1f}" for s in took)
        change = f"{100 * c['difference']:+.1f} [{100 * c['low']:.1f}, {100 * c['high']:.1f}]"
        change = change.replace("-", "\N{MINUS SIGN}")
        scores = f"{c['frozen']:.3f}, {c['finetuned']:.3f}"
        where = f"{data}/{backbone}, {seed} | {column}"
        lines.append(f"| {where} | {scores} | {change} | {minutes} |")
    return "\n".join(lines)


def _cell(found: list[dict[str, float]]) -> str:
    if not found:
        return ""
    values = [np.mean([f[k] for f in found]) for k in METRICS[:2]]
    return f"{values[0]:.3f} ({values[1]:.3f})" + (f", {len(found)} seeds" if found[1:] else "")


if __name__ == "__main__":
    main()

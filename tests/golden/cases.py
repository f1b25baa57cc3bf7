"""The commands whose results are kept, and the data sets that they are given.

A case is a list of commands and what they leave behind; each runs in a folder of its own beside
``data/``, so that cases neither depend on an order nor see each other's runs and searches.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden.lab import (
    BACKBONE,
    draw,
    read_csv,
    read_document,
    run_featx,
    write_bmp,
    write_images,
    write_table,
)

#: Of each document what a clock, a machine or a path decides.
LEFT_OUT = frozenset({"cost", "report", "source", "times", "size_bytes", "folder", "path", "run"})
LEFT_OUT |= {"bins", "pareto", "model_bytes"}

COUNTS = {"blue": 27, "green": 18, "red": 12}
SIGNS = {"+": 14, "-": 12, "=x": 10, "@y": 8}

Case = Callable[[], dict[str, Any]]


def write_data(root: Path) -> None:
    """``plain``, ``split``, ``groups.csv``, ``signs``, ``dirty`` and ``new``."""
    write_images(root / "plain", COUNTS)
    write_images(root / "split" / "train", COUNTS)
    write_images(root / "split" / "test", {"blue": 10, "green": 7, "red": 6}, first=540)
    leaked = (root / "split" / "train" / "blue" / "000.bmp").read_bytes()
    (root / "split" / "test" / "blue" / "leaked.bmp").write_bytes(leaked)
    write_images(root / "signs", SIGNS)
    write_images(root / "one", {"only": 6})
    rows = [["path", "label", "group"]]
    for name, count in COUNTS.items():
        rows += [[f"plain/{name}/{i:03}.bmp", name, f"slide {i % 7}"] for i in range(count)]
    write_table(root / "groups.csv", rows)
    write_table(
        root / "costs.csv",
        [["true", *COUNTS], ["blue", "0", "1", "1"], ["green", "2", "0", "1"],
         ["red", "8", "5", "0"]],
    )  # fmt: skip
    _write_dirty(root / "dirty")
    write_images(root / "new", {"a": 6, "b": 6, "c": 4}, first=900)
    noise = np.random.default_rng(5).integers(0, 2, (32, 32, 3)) * 255
    write_bmp(root / "new" / "noise.bmp", noise)
    (root / "new" / "broken.bmp").write_bytes(b"BM, and no image")


def _write_dirty(root: Path) -> None:
    """Copies (one under another label), a nearly equal image, a wrong label, an outlier, frames."""
    for kind, (name, count) in enumerate({"blue": 26, "green": 22, "red": 18}.items()):
        for i in range(count):
            write_bmp(root / name / f"{i:03}.bmp", _framed(kind, i))
    first = (root / "blue" / "000.bmp").read_bytes()
    (root / "blue" / "copy.bmp").write_bytes(first)
    (root / "green" / "copy.bmp").write_bytes(first)
    near = _framed(1, 3).astype(np.int64)
    near[::7, ::5] += 1
    write_bmp(root / "green" / "near.bmp", near.clip(0, 255))
    write_bmp(root / "red" / "wrong.bmp", _framed(0, 700))
    write_bmp(root / "red" / "outlier.bmp", np.where(draw(2, 0, spread=120) > 140, 255, 0))
    (root / "blue" / "broken.bmp").write_bytes(b"BM")


def _framed(kind: int, seed: int) -> np.ndarray:
    """An image like few others of its class; those of class 1 have a lighter frame."""
    image = draw(kind, seed, spread=10, contrast=2)
    if kind == 1:
        image[[0, 1, -2, -1]] = image[:, [0, 1, -2, -1]] = 235
    return image


def fit(data: str, *options: str, name: str = "run") -> dict[str, Any]:
    """What a fit chose, estimated and predicted."""
    code = run_featx(
        "fit", f"../data/{data}", *BACKBONE, "--name", name, "--cv", "3", "-j", JOBS, *options
    )
    run = Path("runs", name)
    found: dict[str, Any] = {"code": code}
    if code == 0:
        found["results"] = read_document(run / "results.json", LEFT_OUT)
        found["predictions"] = read_csv(run / "predictions.csv")
    if (run / "learning_curve.csv").exists():
        found["learning_curve"] = read_csv(run / "learning_curve.csv")
    return found


def score(model: str = "runs/run", *options: str) -> dict[str, Any]:
    """The rows that a model scores new images with."""
    code = run_featx(
        *("score", model, "../data/new", "-o", "scores.csv", "--proba", "--top-k", "2"),
        *("--device", "cpu", "--workers", "1", *options),
    )
    return {"code": code} | ({"rows": read_csv(Path("scores.csv"))} if code == 0 else {})


def fit_and_score(data: str, *options: str, scored: tuple[str, ...] = ()) -> dict[str, Any]:
    """A fit, and new images scored with its model."""
    return {"fit": fit(data, *options), "score": score("runs/run", *scored)}


def compare(first: dict[str, Any], *more: str, baseline: str = "a") -> dict[str, Any]:
    """Runs ``a`` and ``b`` beside each other; ``first`` are the fits that made them."""
    found = {f"fit {name}": fit(*options, name=name) for name, options in first.items()}
    code = run_featx(
        *("compare", *(f"runs/{name}" for name in first), "--baseline", f"runs/{baseline}"),
        *("--json", "c.json", "--disagreements", "d.csv", *more),
    )
    choices = {k: {"code": v["code"], "chosen": v["results"]["chosen"]} for k, v in found.items()}
    document = {"code": code, **choices}
    if code == 0:
        document["comparison"] = read_document(Path("c.json"), LEFT_OUT)
        document["disagreements"] = read_csv(Path("d.csv"))
    return document


def audit(data: str, *options: str) -> dict[str, Any]:
    """What an audit found, in its document and in every table."""
    code = run_featx("audit", f"../data/{data}", *BACKBONE, "-o", "audit", *options)
    found: dict[str, Any] = {"code": code}
    found["results"] = read_document(Path("audit", "audit.json"), LEFT_OUT)
    found["tables"] = {p.name: read_csv(p) for p in sorted(Path("audit").glob("*.csv"))}
    return found


def refusals() -> dict[str, int]:
    """The exit codes of commands that cannot be done."""
    assert run_featx("fit", "../data/plain", *BACKBONE, "--name", "a", "--cv", "2") == 0
    assert run_featx("fit", "../data/signs", *BACKBONE, "--name", "b", "--cv", "2") == 0
    commands = {
        "no such folder": ("fit", "../data/none"),
        "one class": ("fit", "../data/one", *BACKBONE),
        "unknown head": ("fit", "../data/plain", *BACKBONE, "--head", "svm"),
        "unknown flag": ("fit", "../data/plain", "--heads", "svm"),
        "run exists": ("fit", "../data/plain", *BACKBONE, "--name", "a"),
        "threshold of no class": ("fit", "../data/plain", *BACKBONE, "--threshold", "x:recall=.9"),
        "no labels": ("fit", "../data/new/a", *BACKBONE),
        "compare other images": ("compare", "runs/a", "runs/b"),
        "compare one": ("compare", "runs/a"),
        "compare no run": ("compare", "runs/a", "../data/plain"),
        "compare unknown metric": ("compare", "runs/a", "runs/a", "--metric", "x"),
        "score without model": ("score", "../data/plain", "../data/new"),
        "score to unknown format": ("score", "runs/a", "../data/new", "-o", "scores.xyz"),
        "audit in strict mode": ("audit", "../data/dirty", *BACKBONE, "-o", "audit", "--strict"),
        "report of no run": ("report", "../data/plain"),
    }
    return {name: run_featx(*words) for name, words in commands.items()}


#: Threads of each search. Results do not depend on it: GOLDEN_JOBS=2 gives the same.
JOBS = os.environ.get("GOLDEN_JOBS", "1")

HEADS = [
    *("dummy", "elastic-net", "hist-gradient-boosting", "knn", "lda", "logreg", "mlp"),
    *("prototypes", "ridge", "svm-linear", "svm-rbf"),
]
THREE = ("--head", "logreg", "--head", "svm-linear", "--head", "svm-rbf")

CASES: dict[str, Case] = {
    **{f"head-{name}": partial(fit_and_score, "plain", "--head", name) for name in HEADS},
    "smote": partial(fit_and_score, "plain", "--sampler", "smote", "--head", "svm-linear"),
    "samplers": partial(
        *(fit, "plain", "--estimate", "cv"),
        *("--sampler", "random-over", "--sampler", "random-under", "--sampler", "adasyn"),
        *("--sampler", "borderline-smote", "--sampler", "smote-enn", "--sampler", "smote-tomek"),
    ),
    "ensemble": partial(
        fit_and_score,
        "plain",
        *THREE,
        "--ensemble",
        "vote",
        "--ensemble",
        "stack",
        "--members",
        "3",
    ),
    "threshold": partial(fit_and_score, "plain", "--threshold", "red:recall=0.9"),
    "costs": partial(fit_and_score, "plain", "--costs", "../data/costs.csv"),
    "groups": partial(fit_and_score, "groups.csv", "--head", "logreg", "--head", "svm-rbf"),
    "test-split": partial(fit_and_score, "split", "--head", "svm-linear", "--select", "1se"),
    "holdout": partial(fit, "plain", "--estimate", "holdout", "--scoring", "f1_macro"),
    "repeated": partial(fit, "plain", "--estimate", "repeated", "--repeats", "2"),
    "calibrated": partial(
        fit_and_score, "plain", "--calibrate", "auto", "--head", "svm-rbf", "--sets", "raps"
    ),
    "sigmoid": partial(fit_and_score, "split", "--calibrate", "sigmoid", "--head", "svm-linear"),
    "isotonic": partial(fit_and_score, "split", "--calibrate", "isotonic"),
    "learning-curve": partial(fit, "plain", "--learning-curve", "--scoring", "accuracy"),
    "pca": partial(fit_and_score, "plain", "--pca", "4", "--pca", "0.9", "--pca", "none"),
    "random-search": partial(
        fit, "split", "--search", "random", "--trials", "4", "--head", "svm-rbf", "--seed", "3"
    ),
    "halving": partial(fit, "split", "--search", "halving", *THREE),
    "abstaining": partial(
        fit_and_score,
        "signs",
        "--sets",
        "aps",
        "--coverage",
        "0.8",
        scored=("--abstain-below", "0.6"),
    ),
    "classes-covered": partial(
        fit_and_score, "plain", "--coverage-over", "classes", "--ood-rate", "0.05"
    ),
    "side-by-side": partial(
        fit_and_score,
        "split",
        "--layer",
        "act1",
        "--separate",
        "--concat",
        "--class-weight",
        "balanced",
    ),
    "compare": partial(
        compare, {"a": ("plain", "--head", "logreg"), "b": ("plain", "--head", "knn")}
    ),
    "compare-groups": partial(
        compare,
        {"a": ("groups.csv", "--head", "dummy"), "b": ("groups.csv", "--head", "svm-rbf")},
        *("--metric", "accuracy"),
    ),
    "compare-test-split": partial(
        compare,
        {
            "a": ("split", "--head", "logreg"),
            "b": ("split", "--head", "prototypes"),
            "c": ("split", "--head", "svm-rbf", "--calibrate", "temperature"),
        },
        baseline="b",
    ),
    "audit": partial(audit, "dirty"),
    "audit-groups": partial(audit, "groups.csv", "--folds", "3", "--seed", "1"),
    "audit-split": partial(audit, "split"),
    "refusals": refusals,
}


def run_case(name: str, workspace: Path) -> dict[str, Any]:
    """What the case ``name`` gives in ``workspace``, where `write_data` has written ``data``."""
    folder = workspace / name
    folder.mkdir()
    before = Path.cwd()
    os.chdir(folder)
    try:
        return CASES[name]()
    finally:
        os.chdir(before)

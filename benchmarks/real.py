"""Real images through the command line: what featx reports on four public data sets.

    python benchmarks/real.py --data FOLDER --weights squeezenet1_0.safetensors

FOLDER holds clothing/, bccd.csv, malaria.csv and plankton/ (photographs with their own test
split, blood cells with a class of 3, cells of 62 patients, 121 classes with a long tail). Each is
fitted by one `featx fit` on frozen ImageNet SqueezeNet features, then clothing's test images are
scored as if they were new. Writes benchmarks/results/real.json and prints a Markdown table.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import asked, keep, left_out, machine

RESULTS = Path(__file__).parent / "results" / "real.json"

RUNS: dict[str, tuple[str, list[str]]] = {
    "clothing": ("clothing", []),
    "bccd": (
        "bccd.csv",
        ["--size", "96", "--head", "logreg", "--sampler", "smote", "--class-weight", "balanced"],
    ),
    "malaria": ("malaria.csv", ["--size", "96"]),
    "plankton": ("plankton", ["--size", "96"]),
}


def featx(*arguments: str) -> str:
    """Run one command; its stdout."""
    result = subprocess.run(
        [sys.executable, "-m", "featx", *arguments, "--json", "-q"],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise SystemExit(result.stderr)
    return result.stdout


def measure(data: Path, weights: Path, runs: str) -> dict[str, dict]:
    """Fit every data set; the parts of results.json that matter here."""
    backbone = ["--backbone", "torchvision:squeezenet1_0", "--weights", str(weights)]
    rows = {}
    for name, (dataset, flags) in RUNS.items():
        if not (data / dataset).exists():
            left_out(name, f"{data / dataset} is not here")
            continue
        command = ["fit", str(data / dataset), *backbone, *flags, "--runs", runs, "--name", name]
        document = json.loads(featx(*command))
        rows[name] = {
            "flags": flags,
            "classes": len(document["classes"]),
            "chosen": {k: document["chosen"][k] for k in ("head", "sampler", "class_weight")},
            "estimate": headline(document["estimate"]),
            "for_comparison": {k: headline(e) for k, e in document["estimates"].items()},
            "cost": document["cost"],
        }
        print(f"{name}: done", file=sys.stderr)
    return rows


def headline(estimate: dict) -> dict:
    """What one estimate says, with its intervals."""
    names = ("accuracy", "balanced_accuracy")
    return {
        "method": estimate["method"],
        "n_images": estimate["n_images"],
        "n_groups": estimate["n_groups"],
        "interval": estimate["interval"],
        **{name: estimate["metrics"][name] for name in names},
    }


def score_clothing(data: Path, runs: str, scratch: Path) -> dict:
    """Score the test photographs as a new folder; the share that the model gets right."""
    output = scratch / "scores.csv"
    model, images = f"{runs}/clothing", str(data / "clothing" / "test")
    report = json.loads(featx("score", model, images, "-o", str(output)))["report"]
    with output.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    right = sum(row["prediction"] == row["path"].split("/")[0] for row in rows)
    return {"rows": len(rows), "accuracy": right / len(rows), "computed": report["computed"]}


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    options = asked(parser, needs=["data", "weights"])
    if options.quick:
        os.environ["FEATX_REPORT"] = "0"
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("FEATX_CACHE", str(Path(scratch) / "cache"))
        runs = str(Path(scratch) / "runs")
        rows = measure(options.data, options.weights, runs)
        scored = score_clothing(options.data, runs, Path(scratch)) if "clothing" in rows else {}
    document = {
        **machine(),
        "runs": rows,
        "clothing_scored": scored,
    }
    keep(RESULTS, document, quick=options.quick)
    print(table(rows))
    print(f"\nclothing's test images scored as new: {scored}")


def table(rows: dict[str, dict]) -> str:
    """The rows as Markdown."""
    lines = [
        "| data | images evaluated | estimate | accuracy | balanced accuracy | groups ignored |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        estimate = row["estimate"]
        groups = f", {estimate['n_groups']} groups" if estimate["n_groups"] else ""
        ignored = row["for_comparison"].get("image_level")
        lines.append(
            f"| {name} | {estimate['n_images']:,}{groups} | {estimate['method']} "
            f"| {interval(estimate['accuracy'])} | {interval(estimate['balanced_accuracy'])} "
            f"| {interval(ignored['balanced_accuracy']) if ignored else ''} |"
        )
    return "\n".join(lines)


def interval(value: dict) -> str:
    """``0.828 [0.790, 0.866]``."""
    value, low, high = (
        "–" if value[key] is None else f"{value[key]:.3f}" for key in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    main()

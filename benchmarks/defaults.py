"""Which backbone and layers to begin with: accuracy against seconds on six data sets.

    python benchmarks/defaults.py --data FOLDER --weights squeezenet1_0.safetensors

FOLDER holds clothing/, bccd.csv, malaria.csv, plankton/ and pacs.csv; the digits are those of
scikit-learn. Each row is one `featx fit` with a logistic regression and a cache of its own. Groups
are kept together: bccd by slide image, malaria by patient, pacs by domain. Rows are written to
benchmarks/results/defaults.json as they end, and a second run goes on from there (--again: anew).
Runtime: an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import asked, keep, left_out, load_average, machine, versions

RESULTS = Path(__file__).parent / "results" / "defaults.json"

DATA: dict[str, tuple[str, list[str]]] = {
    "bccd": ("bccd.csv", []),
    "pacs": ("pacs.csv", ["--group-column", "domain"]),
    "digits": ("", []),
    "clothing": ("clothing", []),
    "malaria": ("malaria.csv", []),
    "plankton": ("plankton", []),
}
BACKBONES: dict[str, list[str]] = {
    "mini-v1": ["--backbone", "featx:mini-v1"],
    "SqueezeNet": ["--backbone", "torchvision:squeezenet1_0", "--weights", "WEIGHTS"],
    "lite0, last layer": ["--backbone", "featx:lite0"],
    "lite0, stages": ["--backbone", "featx:lite0", "--layer", "stages"],
    "lite0, auto": ["--backbone", "featx:lite0", "--layer", "auto"],
    "default: lite0 and mini-v1 compete": [],
}


def fit(dataset: Path, flags: list[str]) -> dict[str, Any]:
    """One fit in a folder of its own; what its results say of accuracy and of time."""
    with tempfile.TemporaryDirectory() as scratch:
        places = ["--cache", f"{scratch}/cache", "--runs", f"{scratch}/runs", "--name", "x"]
        command = [sys.executable, "-m", "featx", "fit", str(dataset), *flags, *places]
        result = subprocess.run(
            [*command, "--head", "logreg", "--seed", "0", "--no-report", "--json", "-q"],
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode != 0:
        raise SystemExit(result.stderr)
    found = json.loads(result.stdout)
    estimate = found["estimate"]
    return {
        "method": estimate["method"],
        "n_images": estimate["n_images"],
        "n_groups": estimate["n_groups"],
        "chosen": found["chosen"]["backbone"],
        **{name: estimate["metrics"][name] for name in ("accuracy", "balanced_accuracy")},
        **found["cost"],
        "images_per_s": round(found["dataset"]["images"] / found["cost"]["extract_s"], 1),
        "load_average": round(load_average(), 1),
    }


def digits(folder: Path) -> Path:
    """The digits of `featx demo`: imbalanced, with a test split."""
    from featx.workflow.demo import make_images

    make_images(folder)
    return folder / "digits"


def measure(options: argparse.Namespace, rows: dict[str, Any], save: Any) -> None:
    """Add the rows that are not there yet."""
    with tempfile.TemporaryDirectory() as scratch:
        for data in options.only or DATA:
            name, flags = DATA[data]
            place = options.data / name if name else digits(Path(scratch))
            if not place.exists():
                left_out(data, f"{place} is not here")
                continue
            for backbone, chosen in BACKBONES.items():
                if backbone in rows.setdefault(data, {}):
                    continue
                chosen = [str(options.weights) if c == "WEIGHTS" else c for c in chosen]
                rows[data][backbone] = fit(place, [*chosen, *flags])
                save()
                print(f"{data}, {backbone}: done", file=sys.stderr, flush=True)


def table(rows: dict[str, Any]) -> str:
    """The rows as Markdown."""
    lines = [
        "| data | backbone | accuracy | balanced accuracy | extraction, s | fit, s |",
        "|---|---|---|---|---:|---:|",
    ]
    for data, found in rows.items():
        for backbone, row in found.items():
            cells = [_interval(row[name]) for name in ("accuracy", "balanced_accuracy")]
            times = f"{row['extract_s']:.0f} | {row['fit_s']:.0f}"
            lines.append(f"| {data} | {backbone} | {' | '.join(cells)} | {times} |")
    return "\n".join(lines)


def _interval(metric: dict[str, Any]) -> str:
    low, high = metric["low"], metric["high"]
    return f"{metric['value']:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--only", nargs="+", choices=DATA, help="these data sets")
    parser.add_argument("--again", action="store_true", help="measure what is there already too")
    options = asked(parser, needs=["data", "weights"])
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if options.quick:
        options.only = ["bccd"]
    fresh = options.quick or options.again or not RESULTS.exists()
    rows = {} if fresh else json.loads(RESULTS.read_text("utf-8"))["rows"]

    def save() -> None:
        libraries = versions("featx", "torch", "timm", "openvino", "scikit-learn")
        keep(RESULTS, {**machine(), "versions": libraries, "rows": rows}, quick=options.quick)

    measure(options, rows, save)
    print(table(rows))


if __name__ == "__main__":
    main()

"""Which backbone and layers to begin with: accuracy against seconds on six data sets.

    python benchmarks/defaults.py --data FOLDER --weights squeezenet1_0.safetensors

FOLDER holds clothing/, bccd.csv, malaria.csv, plankton/ and pacs.csv; the digits are those of
scikit-learn. Each row is one `featx fit` with a logistic regression and a cache of its own. Groups
are kept together: bccd by slide image, malaria by patient, pacs by domain. Rows are written to
benchmarks/results/defaults.json as they end, and a second run goes on from there (--again: anew).
--speed measures images a second of the forward pass alone, and what the first `featx extract` of
ten photographs takes, each backbone by turns. Runtime: an hour on two cores; --speed: two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from measuring import asked, keep, left_out, load_average, machine, versions
from recommended import rate

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
    "default: lite0 and mini-v1 compete": [],
    "--layer auto: their stages compete too": ["--layer", "auto"],
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


SPEED = (
    "featx:mini-v1",
    "featx:lite0",
    "torchvision:squeezenet1_0",
    "timm:resnet50.a1_in1k",
)


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Images a second of the forward pass, and seconds of a first extraction of ten images."""
    seconds = argparse.Namespace(seconds=0.05 if options.quick else 5.0, rounds=3)
    found: dict[str, Any] = {"load_average": round(load_average(), 2)}
    found["forward"] = {name: rate(name, seconds) for name in SPEED}
    taken: dict[str, list[float]] = {name: [] for name in SPEED[:2]}
    with tempfile.TemporaryDirectory() as scratch:
        photographs = Path(scratch) / "ten"
        photographs.mkdir()
        for path in islice(sorted((options.data / "clothing").rglob("*.jpg")), 10):
            (photographs / path.name).symlink_to(path.resolve())
        for turn in range(1 if options.quick else 7):
            for name, times in taken.items():
                command = [sys.executable, "-m", "featx", "extract", str(photographs), "-q"]
                started = time.perf_counter()
                where = ["--cache", f"{scratch}/{turn}-{name[6:]}", "--backbone", name]
                subprocess.run([*command, *where], check=True, capture_output=True)
                times.append(time.perf_counter() - started)
    found["first_ten_s"] = {name: round(statistics.median(t), 2) for name, t in taken.items()}
    mini, lite = (statistics.median(times) for times in taken.values())
    found["first_ten_ratio"] = round(lite / mini, 2)
    return found


def digits(folder: Path) -> Path:
    """The digits of `featx demo`: imbalanced, with a test split."""
    from featx.api.demo import make_images

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
    parser.add_argument("--speed", action="store_true", help="images a second, instead of the rows")
    options = asked(parser, needs=["data", "weights"])
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if options.quick:
        options.only = ["bccd"]
    fresh = options.quick or options.again or not RESULTS.exists()
    found = {"rows": {}} if fresh else json.loads(RESULTS.read_text("utf-8"))

    def save() -> None:
        libraries = versions("featx", "torch", "timm", "openvino", "scikit-learn")
        keep(RESULTS, {**found, **machine(), "versions": libraries}, quick=options.quick)

    if options.speed or options.quick:
        found["speed"] = speed(options)
        print(json.dumps(found["speed"], indent=2))
        save()
    if not options.speed:
        measure(options, found["rows"], save)
        print(table(found["rows"]))


if __name__ == "__main__":
    main()

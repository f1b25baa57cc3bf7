"""Whether fit, score, compare and audit give what they gave, on real images.

    python benchmarks/golden.py --data FOLDER --weights squeezenet1_0.safetensors --write FILE
    python benchmarks/golden.py --data FOLDER --weights squeezenet1_0.safetensors --against FILE

FOLDER is that of benchmarks/real.py. Of each data set some images of every class are fitted (their
own test split, groups of slides, groups of patients, a long tail) on ImageNet SqueezeNet and on the
embedded backbone: three heads, SMOTE, an ensemble, a threshold. Other images are scored, the runs
compared, the images audited. FILE holds choices, estimates, digests of predictions and exit codes;
``--against`` prints what differs and then ends with 1. Embeddings stay in ``--cache``, so that
another version of featx refits and embeds nothing: made on one machine and read on it, all numbers
are the same to the last digit, and digests of predictions to the ninth.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import io
import json
import math
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["FEATX_REPORT"] = "0"

#: Data set -> its manifest or folder, every how many images are fitted, every how many classes, the
#: class of the threshold, and flags.
DATASETS: dict[str, tuple[str, int, int, str, list[str]]] = {
    "clothing": ("clothing", 6, 1, "dress", []),
    "bccd": ("bccd.csv", 1, 1, "Monocyte", ["--size", "96"]),
    "malaria": ("malaria.csv", 12, 1, "Parasitized", ["--size", "96"]),
    "plankton": ("plankton", 3, 4, "", ["--size", "96"]),
}
SCORED = 60  # images that were not fitted
#: Differ between two equal runs: times, and what is made of them.
LEFT_OUT = {"cost", "report", "source", "times", "size_bytes", "folder", "path", "run"}
LEFT_OUT |= {"verdict", "pareto", "model_bytes", "command"}
TOLERANCE = 1e-12


def featx(*arguments: object) -> int:
    """Run one command in this process; its exit code."""
    from featx.cli import main

    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            main.main([str(argument) for argument in arguments])
    except SystemExit as ended:
        if ended.code != 0:
            print(told.getvalue())
        return int(ended.code or 0)
    return -1  # not reached: the command line ends the process


def rows_of(source: Path) -> list[dict[str, str]]:
    """Path, label, group and split of every image, in the order of paths."""
    if source.suffix == ".csv":
        with source.open(newline="") as stream:
            return sorted(csv.DictReader(stream), key=lambda row: row["path"])
    names = {"train": "train", "validation": "val", "test": "test"}
    found = []
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        split = names.get(path.relative_to(source).parts[0], "")
        row = {"path": str(path.relative_to(source.parent)), "label": path.parent.name}
        found.append(row | ({"split": split} if split else {}))
    return found


def write_manifests(folder: Path, data: Path, name: str) -> None:
    """``NAME.csv`` of the images to fit, and ``NAME-new.csv`` of some others."""
    source, every, every_class, _, _ = DATASETS[name]
    by_class: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows_of(data / source):
        by_class[row["label"], row.get("split", "")].append(row)
    labels = sorted({label for label, _ in by_class})[::every_class]
    groups = [rows for (label, _), rows in sorted(by_class.items()) if label in labels]
    fitted = [row for rows in groups for row in rows[::every]]
    others = [row for rows in groups for row in (rows[1::every] if every > 1 else rows[::7])]
    for suffix, rows in (("", fitted), ("-new", others[:: max(1, len(others) // SCORED)])):
        with (folder / f"{name}{suffix}.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def document(path: Path) -> Any:
    """A JSON file without what differs between two equal runs."""
    return without_times(json.loads(path.read_text()))


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in LEFT_OUT and not k.endswith("_s")}
        return {k: without_times(v) for k, v in kept.items()}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def digests(path: Path) -> dict[str, Any]:
    """The number of rows of a table, and a digest of each column; numbers to nine digits."""
    with path.open(newline="") as stream:
        header, *rows = csv.reader(stream)
    columns = {name: [_rounded(row[i]) for row in rows] for i, name in enumerate(header)}
    return {"rows": len(rows)} | {
        name: hashlib.sha256("\n".join(cells).encode()).hexdigest()[:16]
        for name, cells in columns.items()
    }


def _rounded(cell: str) -> str:
    with contextlib.suppress(ValueError):
        return f"{float(cell) + 0.0:.9g}"
    return cell


def measure(name: str, folder: Path, data: Path, weights: Path) -> dict[str, Any]:
    """What every command gives on one data set."""
    *_, rare, flags = DATASETS[name]
    write_manifests(folder, data, name)
    squeezenet = ["--backbone", "torchvision:squeezenet1_0", "--weights", weights, *flags]
    mini = ["--backbone", "featx:mini-v1"]
    three = ["--head", "logreg", "--head", "svm-linear", "--head", "svm-rbf"]
    fits = {
        "heads": [*squeezenet, *three],
        "smote": [*squeezenet, "--head", "logreg", "--sampler", "smote", "--calibrate", "auto"],
        "ensemble": [*mini, "--head", "logreg", "--head", "svm-linear", "--ensemble", "vote"],
    }
    if rare:
        fits["threshold"] = [*mini, "--threshold", f"{rare}:recall=0.9"]
    found: dict[str, Any] = {}
    manifest = ["--root", data]
    for fit, options in fits.items():
        run = folder / "runs" / f"{name}-{fit}"
        code = featx(
            *("fit", folder / f"{name}.csv", *manifest, *options, "--cv", "3", "--no-resume"),
            *("--runs", run.parent, "--name", run.name, "--jobs", "1"),
        )
        found[f"fit {fit}"] = {"code": code}
        if code != 0:
            continue
        found[f"fit {fit}"]["results"] = document(run / "results.json")
        found[f"fit {fit}"]["predictions"] = digests(run / "predictions.csv")
        scores = folder / f"{run.name}.csv"
        code = featx("score", run, folder / f"{name}-new.csv", *manifest, "-o", scores, "--proba")
        found[f"score {fit}"] = {"code": code, **(digests(scores) if code == 0 else {})}
        print(f"{name}: fit {fit} and score", flush=True)
    found["compare"] = compared(folder, [f"{name}-{fit}" for fit in fits])
    out = folder / f"{name}-audit"
    code = featx("audit", folder / f"{name}.csv", *manifest, *mini, "-o", out)
    tables = {path.name: digests(path) for path in sorted(out.glob("*.csv"))}
    found["audit"] = {"code": code, "results": document(out / "audit.json"), "tables": tables}
    return found


def compared(folder: Path, names: list[str]) -> dict[str, Any]:
    """The runs beside each other."""
    runs = [folder / "runs" / name for name in names]
    report = folder / f"{names[0]}.json"
    code = featx("compare", *runs, "--json", report)
    return {"code": code, **({"comparison": document(report)} if code == 0 else {})}


def differences(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """Each place where ``new`` is not what ``old`` is; keys may have been added."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            yield from differences(value, new.get(key), f"{at}/{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, f"{at}/{i}")
    elif isinstance(old, float) and isinstance(new, float):
        if not math.isclose(old, new, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            yield f"{at}: {old!r} before, {new!r} now"
    elif not sentence(old) and old != new:
        yield f"{at}: {old!r} before, {new!r} now"


def sentence(value: Any) -> bool:
    """Text for people, which may be worded anew."""
    return isinstance(value, str) and (value.count(" ") > 3 or value.endswith("."))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--cache", default="golden-cache", help="embeddings, kept between runs")
    parser.add_argument("--only", nargs="*", choices=DATASETS, default=list(DATASETS))
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", type=Path, metavar="FILE")
    what.add_argument("--against", type=Path, metavar="FILE")
    args = parser.parse_args()
    os.environ["FEATX_CACHE"] = os.path.abspath(args.cache)  # noqa: PTH100 - links stay as named
    with tempfile.TemporaryDirectory() as folder:
        found = {
            name: measure(name, Path(folder), args.data.resolve(), args.weights.resolve())
            for name in args.only
        }
    if args.write is not None:
        args.write.write_text(json.dumps(found, indent=1) + "\n")
        return
    before = json.loads(args.against.read_text())
    wrong = list(differences({name: before[name] for name in args.only}, found))
    print("\n".join(wrong) or "Nothing differs.")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()

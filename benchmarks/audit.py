"""Does `featx audit` find what is wrong? Real data sets as they are, and one with planted faults.

    python benchmarks/audit.py --data FOLDER --weights squeezenet1_0.safetensors

FOLDER holds clothing/, bccd.csv and plankton/. Each is audited on frozen ImageNet SqueezeNet
features; then a copy of clothing with known faults: copies of training images in the test split
(exact, resized, recompressed, slightly cropped), 5 % flipped labels, and a frame around every image
of one class. What the clean copy already reports is no false alarm of the planted one and is
counted apart. Writes benchmarks/results/audit.json and prints Markdown tables.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

RESULTS = Path(__file__).parent / "results" / "audit.json"
DATASETS = {
    "clothing": ("clothing", []),
    "bccd": ("bccd.csv", ["--size", "96"]),
    "plankton": ("plankton", ["--size", "96"]),
}
KINDS = ("exact", "resized", "recompressed", "cropped")
COPIES = 100  # of each kind
FLIPPED = 0.05
FRAMED, FRAME_PX = "hat", 4


def audit(dataset: Path, flags: list[str], weights: Path, scratch: Path, name: str) -> dict:
    """One `featx audit`; its JSON."""
    command = [sys.executable, "-m", "featx", "audit", str(dataset)]
    command += ["--backbone", "torchvision:squeezenet1_0", "--weights", str(weights), *flags]
    command += ["--cache", str(scratch / "cache"), "-o", str(scratch / f"audit-{name}")]
    result = subprocess.run(
        [*command, "--overwrite", "--json", "-q"], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise SystemExit(result.stderr)
    print(f"{name}: done", file=sys.stderr)
    return json.loads(result.stdout)


def plant(source: Path, target: Path) -> dict:
    """A copy of clothing with faults; what was done to which image."""
    rng = np.random.default_rng(0)
    shutil.copytree(source, target)
    classes = sorted(path.name for path in (target / "train").iterdir())
    training = sorted((target / "train").glob("*/*.jpg"))
    flipped = {}
    for i in rng.permutation(len(training))[: round(FLIPPED * len(training))]:
        path = training[i]
        others = [c for c in classes if c != path.parent.name]
        moved = target / "train" / str(rng.choice(others)) / f"flip-{path.name}"
        path.rename(moved)
        flipped[moved.relative_to(target).as_posix()] = path.parent.name
    for path in sorted(target.glob(f"*/{FRAMED}/*.jpg")):
        with Image.open(path) as image:
            framed = ImageOps.crop(image.convert("RGB"), FRAME_PX)
            framed = ImageOps.expand(framed, FRAME_PX, fill=(20, 60, 160))
            framed.save(path, qtables=image.quantization)  # nothing else about the file changes
    copies = {kind: [] for kind in KINDS}
    candidates = [
        p for p in sorted((target / "train").glob("*/*.jpg")) if not p.name.startswith("flip-")
    ]
    chosen = rng.permutation(len(candidates))[: COPIES * len(KINDS)]
    for number, i in enumerate(chosen):
        kind, path = KINDS[number % len(KINDS)], candidates[i]
        copy = target / "test" / path.parent.name / f"{kind}-{number}.jpg"
        copy.write_bytes(alter(path.read_bytes(), kind, rng))
        pair = [p.relative_to(target).as_posix() for p in (path, copy)]
        copies[kind].append(pair)
    return {"flipped": flipped, "copies": copies, "framed": FRAMED}


def alter(data: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """A copy of a JPEG file: as it is, 50 to 90 % as large, quality 25 to 60, or 5 to 12 % cut."""
    if kind == "exact":
        return data
    image = Image.open(io.BytesIO(data)).convert("RGB")
    quality = 90
    if kind == "resized":
        scale = rng.uniform(0.5, 0.9)
        image = image.resize([max(1, round(side * scale)) for side in image.size])
    elif kind == "recompressed":
        quality = int(rng.integers(25, 61))
    else:
        kept = 1 - rng.uniform(0.05, 0.12)
        width, height = (round(side * kept) for side in image.size)
        left, top = rng.integers(image.width - width + 1), rng.integers(image.height - height + 1)
        image = image.crop((left, top, left + width, top + height))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def judged(truth: dict, found: dict, clean: dict) -> dict:
    """Precision and recall on the planted faults."""
    sets = [frozenset(c["ids"]) for c in found["copies"]]
    recall = {
        kind: sum(any(set(pair) <= s for s in sets) for pair in pairs) / len(pairs)
        for kind, pairs in truth["copies"].items()
    }
    planted = [set(pair) for pairs in truth["copies"].values() for pair in pairs]
    # Originals whose files were moved keep their name behind "flip-".
    known = [{plain(i) for i in c["ids"]} for c in clean["copies"]]
    right = [any(pair <= s for pair in planted) for s in sets]
    already = [any(len(k & {plain(i) for i in s}) > 1 for k in known) for s in sets]
    false = sum(not (a or b) for a, b in zip(right, already, strict=True))
    margins = found["label_issues"]["margins"]
    suspects = {row["path"] for row in found["label_issues"]["suspects"]}
    flipped = set(truth["flipped"])
    first = sorted(margins, key=lambda i: margins[i])[: len(flipped)]
    return {
        "copies_recall": recall,
        "sets": len(sets),
        "sets_planted": sum(right),
        "sets_in_clean_data_too": sum(a and not r for a, r in zip(already, right, strict=True)),
        "sets_false": false,
        "copies_precision": sum(right) / max(sum(right) + false, 1),
        "flip_roc_auc": ranking_auc(margins, flipped),
        "flips": len(flipped),
        "flips_suspected": len(flipped & suspects),
        "suspects": len(suspects),
        "flips_among_as_many_first": len(flipped & set(first)),
        "given_away": given_away(found),
        "given_away_in_clean_data": given_away(clean),
    }


def plain(id: str) -> str:
    """A file's name as it was before its label was flipped."""
    return id.rsplit("/", 1)[-1].removeprefix("flip-")


def ranking_auc(margins: dict[str, float], flipped: set[str]) -> float:
    """ROC-AUC of low margins for flipped labels."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score([i in flipped for i in margins], [-m for m in margins.values()]))


def given_away(document: dict) -> list[str]:
    """Shortcuts as ``family: class (measurement)``."""
    return [
        f"{s['family']}: {label} ({s['strongest'][label]})"
        for s in document["shortcuts"]
        for label in s["given_away"]
    ]


def brief(document: dict) -> dict:
    """What a data set as it is was found to hold."""
    return {
        "images": document["images"],
        "sets_exact": sum(c["exact"] for c in document["copies"]),
        "sets_near": sum(not c["exact"] for c in document["copies"]),
        "across_splits": sum(c["across_splits"] for c in document["copies"]),
        "across_classes": sum(c["across_classes"] for c in document["copies"]),
        "suspects": len(document["label_issues"]["suspects"]),
        "outliers": len(document["outliers"]),
        "given_away": given_away(document),
        "times": document["times"],
    }


def tables(results: dict) -> str:
    """Markdown: the planted faults, then the data as they are."""
    planted = results["planted"]
    recall = planted["copies_recall"]
    lines = ["| planted in clothing | found |", "|---|---|"]
    lines += [
        f"| {COPIES} {kind} copies in the test split | {recall[kind]:.0%} |" for kind in KINDS
    ]
    lines += [
        f"| precision of the sets of copies | of {planted['sets']}, {planted['sets_planted']} "
        f"planted, {planted['sets_in_clean_data_too']} in the clean data too, "
        f"{planted['sets_false']} others |",
        f"| {planted['flips']} flipped labels | ROC-AUC {planted['flip_roc_auc']:.3f}; "
        f"{planted['flips_suspected']} among {planted['suspects']} suspects, "
        f"{planted['flips_among_as_many_first']} among the first {planted['flips']} |",
        f"| a frame around every {FRAMED} | {', '.join(planted['given_away']) or 'none'} |",
        "",
        "| as it is | images | equal | near | across splits | across classes | doubted labels | "
        "outliers |",
        "|---|---|---|---|---|---|---|---|",
    ]
    keys = ("images", "sets_exact", "sets_near", "across_splits", "across_classes")
    for name, row in results["as_it_is"].items():
        cells = [row[key] for key in (*keys, "suspects", "outliers")]
        lines.append(f"| {name} | " + " | ".join(f"{cell:,}" for cell in cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, help="folder for the cache and the planted copy")
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.scratch or Path(temporary)
        target = scratch / "planted"
        shutil.rmtree(target, ignore_errors=True)
        truth = plant(options.data / "clothing", target)
        planted = audit(target, [], options.weights, scratch, "planted")
        documents = {
            name: audit(options.data / dataset, flags, options.weights, scratch, name)
            for name, (dataset, flags) in DATASETS.items()
            if name in {"clothing", *options.datasets}
        }
    results = {
        "planted": {**judged(truth, planted, documents["clothing"]), "times": planted["times"]},
        "as_it_is": {name: brief(document) for name, document in documents.items()},
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(tables(results))


if __name__ == "__main__":
    main()

"""Does `featx audit` find what is wrong? Real data sets as they are, and one with planted faults.

    python benchmarks/audit.py --data FOLDER --weights squeezenet1_0.safetensors

FOLDER holds clothing/, bccd.csv and plankton/. Each is audited on frozen ImageNet SqueezeNet
features; then a copy of clothing with known faults: copies of training images in the test split
(exact, resized, recompressed, slightly cropped), 5 % flipped labels, and a frame around every image
of one class. What the clean copy already reports is no false alarm of the planted one and is
counted apart. Lists of doubted labels and of outliers are judged on embeddings alone, three times
each: 5 % of the labels of clothing and plankton flipped, and images of one data set put into
another. Writes benchmarks/results/audit.json and prints Markdown tables.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measuring import asked, keep, machine
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
BACKBONE = "torchvision:squeezenet1_0"
REPEATS = 3
STRANGE = (5, 30)
MIXTURES = (("clothing", "bccd"), ("clothing", "plankton"), ("plankton", "clothing"))


def audit(dataset: Path, flags: list[str], weights: Path, scratch: Path, name: str) -> dict:
    """One `featx audit`; its JSON."""
    command = [sys.executable, "-m", "featx", "audit", str(dataset)]
    command += ["--backbone", BACKBONE, "--weights", str(weights), *flags]
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
    quality = found["label_issues"]["quality"]
    suspects = {row["path"] for row in found["label_issues"]["suspects"]}
    flipped = set(truth["flipped"])
    first = sorted(quality, key=lambda i: quality[i])[: len(flipped)]
    return {
        "copies_recall": recall,
        "sets": len(sets),
        "sets_planted": sum(right),
        "sets_in_clean_data_too": sum(a and not r for a, r in zip(already, right, strict=True)),
        "sets_false": false,
        "copies_precision": sum(right) / max(sum(right) + false, 1),
        "flip_roc_auc": ranking_auc(list(quality.values()), [i in flipped for i in quality]),
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


def ranking_auc(quality: Sequence[float], flipped: Sequence[bool]) -> float:
    """ROC-AUC of low quality for flipped labels."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(flipped, -np.asarray(quality)))


class Embedded:
    """What an audit knows of a data set as it is: embeddings and labels."""

    def __init__(self, dataset: Path, weights: Path, scratch: Path) -> None:
        import featx

        cache = str(scratch / "cache")
        found = featx.extract(dataset, backbone=BACKBONE, weights=str(weights), cache=cache)
        self.X = found.X
        self.classes, self.y = np.unique(np.array(found.y, str), return_inverse=True)

    def probabilities(self, y: np.ndarray) -> np.ndarray:
        """Out of fold, as in an audit, trained on these labels."""
        from featx.auditing.labels import out_of_fold_probabilities
        from featx.data.splits import make_folds

        names = [str(name) for name in self.classes]
        folds = make_folds(y, np.arange(len(y)), names, n_folds=5, seed=0)
        return out_of_fold_probabilities(self.X, y, folds, len(names))


def lists_of_labels(data: Embedded, rng: np.random.Generator) -> dict[str, dict]:
    """How short and how right lists of doubted labels are, where 5 % were flipped."""
    n, n_classes = len(data.y), len(data.classes)
    evenly = 1 - np.eye(n_classes)
    alike = np.zeros((n_classes, n_classes))
    np.add.at(alike, data.y, data.probabilities(data.y))
    found = {}
    for way, to in (("any other class", evenly), ("a class it is often taken for", alike * evenly)):
        rows = []
        for _ in range(REPEATS):
            y = data.y.copy()
            for i in rng.permutation(n)[: round(FLIPPED * n)]:
                y[i] = rng.choice(n_classes, p=to[y[i]] / to[y[i]].sum())
            rows.append(judged_lists(y, data.probabilities(y), y != data.y))
        found[way] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return found


def judged_lists(y: np.ndarray, probabilities: np.ndarray, flipped: np.ndarray) -> dict[str, float]:
    """One list; beside it that of confident learning, which takes no calibration."""
    from featx.auditing.labels import doubt_labels

    issues = doubt_labels(y, probabilities)
    other = confident_learning(y, probabilities)
    return {
        "flips": int(flipped.sum()),
        "listed": int(issues.suspected.sum()),
        "precision": float(flipped[issues.suspected].mean()),
        "recall": float(issues.suspected[flipped].mean()),
        "roc_auc": ranking_auc(issues.quality, flipped),
        "confident_learning_listed": int(other.sum()),
        "confident_learning_precision": float(flipped[other].mean()),
        "confident_learning_recall": float(other[flipped].mean()),
    }


def confident_learning(y: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Off the diagonal of the confident joint (Northcutt, Jiang and Chuang, JAIR 70, 2021)."""
    n_classes = probabilities.shape[1]
    given = probabilities[np.arange(len(y)), y]
    sums = np.bincount(y, weights=given, minlength=n_classes)
    thresholds = sums / np.maximum(np.bincount(y, minlength=n_classes), 1)
    reached = np.where(probabilities >= thresholds, probabilities, -1.0)
    return (reached.max(axis=1) >= 0) & (reached.argmax(axis=1) != y)


def strange_among(base: Embedded, strange: Embedded, rng: np.random.Generator) -> dict[str, dict]:
    """How strange images that were put into a data set are found: few and many of one kind."""
    from featx.auditing.outliers import LIMIT, outlier_scores

    found = {}
    for n in STRANGE:
        rows = []
        for _ in range(REPEATS):
            chosen = rng.choice(len(strange.X), n, replace=False)
            scores = outlier_scores(np.concatenate([base.X, strange.X[chosen]]), seed=0)
            planted = np.arange(len(scores)) >= len(base.X)
            listed = scores > LIMIT
            rows.append({
                "listed": int(listed.sum()),
                "recall": float(listed[planted].mean()),
                "precision": float(planted[listed].mean()) if listed.any() else 0.0,
                "roc_auc": ranking_auc(-scores, planted),
            })  # fmt: skip
        found[str(n)] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return found


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


def table_of_labels(results: dict) -> str:
    """Markdown: lists of doubted labels."""
    lines = [
        "| 5 % of labels flipped | to | ROC-AUC | doubted | of these flipped | of flips doubted | "
        "confident learning doubts | of these flipped | of flips doubted |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, ways in results["flipped_labels"].items():
        for way, r in ways.items():
            other = [r[f"confident_learning_{key}"] for key in ("listed", "precision", "recall")]
            cells = [r["roc_auc"], r["listed"], r["precision"], r["recall"], *other]
            form = ("{:.3f}", "{:,.0f}", "{:.0%}", "{:.0%}", "{:,.0f}", "{:.0%}", "{:.0%}")
            text = " | ".join(f.format(cell) for f, cell in zip(form, cells, strict=True))
            lines.append(f"| {name} | {way} | {text} |")
    return "\n".join(lines)


def table_of_outliers(results: dict) -> str:
    """Markdown: strange images put into a data set."""
    lines = [
        "| strange images | among | ROC-AUC | listed | of the strange ones |",
        "|---|---|---|---|---|",
    ]
    for (base, strange), counts in zip(MIXTURES, results["strange_images"], strict=True):
        for n, r in counts.items():
            lines.append(
                f"| {n} of {strange} | {base} | {r['roc_auc']:.3f} | {r['listed']:.0f} "
                f"| {r['recall']:.0%} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--scratch", type=Path, help="folder for the cache and the planted copy")
    options = asked(parser, needs=["data", "weights"])
    if options.quick:
        globals().update(COPIES=4, REPEATS=1, STRANGE=(5,))
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.scratch or Path(temporary)
        target = scratch / "planted"
        shutil.rmtree(target, ignore_errors=True)
        truth = plant(options.data / "clothing", target)
        planted = audit(target, [], options.weights, scratch, "planted")
        documents = {
            name: audit(options.data / dataset, flags, options.weights, scratch, name)
            for name, (dataset, flags) in DATASETS.items()
        }
        embedded = {
            name: Embedded(options.data / dataset, options.weights, scratch)
            for name, (dataset, _) in DATASETS.items()
        }
        rng = np.random.default_rng(0)
        results = {
            "machine": machine(),
            "planted": {**judged(truth, planted, documents["clothing"]), "times": planted["times"]},
            "as_it_is": {name: brief(document) for name, document in documents.items()},
            "flipped_labels": {
                name: lists_of_labels(embedded[name], rng) for name in ("clothing", "plankton")
            },
            "strange_images": [
                strange_among(embedded[base], embedded[strange], rng) for base, strange in MIXTURES
            ],
        }
    keep(RESULTS, results, quick=options.quick)
    print(tables(results), table_of_labels(results), table_of_outliers(results), sep="\n\n")


if __name__ == "__main__":
    main()

"""Does `featx audit` find what is wrong? Real data sets as they are, and one with planted faults.

    python benchmarks/audit.py --data FOLDER --weights squeezenet1_0.safetensors

FOLDER holds clothing/, plankton/, bccd.csv, malaria.csv and pacs.csv. Each is audited on frozen
ImageNet SqueezeNet features (3,000 images of malaria), with the digits of scikit-learn; then a copy
of clothing with known faults: copies of training images in the test split, and 5 % flipped labels.
What the clean copy already reports is no false alarm of the planted one and is counted apart. Near
copies are counted on data that hold none: slices of made volumes, drawings, digits, cells of two
patients. Shortcuts are planted into every image of one class of a part of clothing, one kind at a
time. Lists of doubted labels and of outliers are judged on embeddings alone, three times each: 5 %
of the labels of clothing and plankton flipped, and images of one data set put into another. Writes
benchmarks/results/audit.json and prints Markdown tables; --only NAME measures one part again.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from measuring import asked, keep, machine
from planting import KINDS, SHORTCUTS, alter, digits, drawings, volumes

RESULTS = Path(__file__).parent / "results" / "audit.json"
SMALL = ["--size", "96"]
DATASETS = {
    "clothing": ("clothing", []),
    "bccd": ("bccd.csv", SMALL),
    "malaria": ("malaria.csv", SMALL),
    "pacs": ("pacs.csv", []),
    "plankton": ("plankton", SMALL),
}
EMBEDDED = ("clothing", "bccd", "plankton")
COPIES = 100  # of each kind
VOLUMES, DRAWINGS = 20, 500
MALARIA = 3000  # images of it
FLIPPED = 0.05
OF_EACH, PLANTED_IN = 80, "hat"  # images of each class of clothing that get a shortcut, and where
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
    return {"flipped": flipped, "copies": copies}


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
    }


def malaria(data: Path, scratch: Path) -> Path:
    """A part of the malaria cells, by a seed."""
    with (data / "malaria.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:MALARIA])
    path = scratch / "malaria.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[i] for i in chosen)
    return path


def without_copies(weights: Path, scratch: Path, cells: dict) -> dict[str, dict]:
    """Near copies and series in data that hold no copy."""
    made = scratch / "none"
    shutil.rmtree(made, ignore_errors=True)
    volumes(made / "named", VOLUMES, named=True)
    volumes(made / "unnamed", VOLUMES, named=False)
    drawings(made / "drawings", DRAWINGS)
    digits(made / "digits")
    found = {}
    for what, name in (
        ("slices of made volumes, numbered", "named"),
        ("slices of made volumes, names without numbers", "unnamed"),
        ("drawings of five dark ovals", "drawings"),
        ("handwritten digits, 8 x 8 pixels", "digits"),
    ):
        document = audit(made / name, SMALL, weights, scratch, f"none-{name}")
        found[what] = counted(document, [c["ids"] for c in document["copies"] if not c["exact"]])
    near = [c["ids"] for c in cells["copies"] if not c["exact"]]
    apart = [ids for ids in near if len({Path(i).name.lower().split("thin")[0] for i in ids}) > 1]
    found["malaria cells of two patients"] = counted(cells, apart)
    return found


def counted(document: dict, sets: Sequence[Sequence[str]]) -> dict:
    """False sets, and images in them, of a thousand."""
    images = document["images"]
    return {
        "images": images,
        "false_sets": len(sets),
        "images_per_1000": 1000 * sum(map(len, sets)) / images,
        "series_sets": len(document["series"]),
        "series_images": sum(len(s["ids"]) for s in document["series"]),
    }


def with_shortcuts(data: Path, weights: Path, scratch: Path) -> dict[str, dict]:
    """What is serious in a part of clothing, as it is and with each shortcut planted."""
    found = {}
    for kind in (None, *SHORTCUTS):
        target = scratch / "shortcut"
        shutil.rmtree(target, ignore_errors=True)
        for folder in sorted((data / "clothing" / "train").iterdir()):
            (target / folder.name).mkdir(parents=True)
            for path in sorted(folder.glob("*.jpg"))[:OF_EACH]:
                copy = target / folder.name / path.name
                shutil.copy(path, copy)
                if kind and folder.name == PLANTED_IN:
                    SHORTCUTS[kind][1](copy)
        document = audit(target, [], weights, scratch, f"shortcut {kind}")
        found[kind or "nothing"] = {
            "planted": SHORTCUTS[kind][0] if kind else None,
            "serious": given_away(document, "beyond"),
            "told": given_away(document),
        }
    return found


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


def given_away(document: dict, which: str = "given_away") -> list[str]:
    """Shortcuts as ``family: class (measurement)``."""
    return [
        f"{s['family']}: {label} ({s['strongest'][label]})"
        for s in document["shortcuts"]
        for label in s[which]
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
        "series": len(document["series"]),
        "serious": given_away(document, "beyond"),
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
        "",
        "| as it is | images | equal | near | across splits | across classes | series | "
        "doubted labels | outliers | serious shortcuts |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    keys = ("images", "sets_exact", "sets_near", "across_splits", "across_classes", "series")
    for name, row in results["as_it_is"].items():
        cells = [row[key] for key in (*keys, "suspects", "outliers")]
        serious = ", ".join(row["serious"]) or "none"
        lines.append(f"| {name} | " + " | ".join(f"{c:,}" for c in cells) + f" | {serious} |")
    return "\n".join(lines)


def table_of_none(results: dict) -> str:
    """Markdown: near copies where there are none."""
    lines = [
        "| data without copies | images | false sets | images in them, of 1,000 | series named |",
        "|---|---|---|---|---|",
    ]
    for what, r in results["without_copies"].items():
        cells = (f"{r['images']:,}", r["false_sets"], f"{r['images_per_1000']:.1f}")
        lines.append(f"| {what} | {' | '.join(map(str, cells))} | {r['series_sets']:,} |")
    return "\n".join(lines)


def table_of_shortcuts(results: dict) -> str:
    """Markdown: shortcuts planted into one class."""
    lines = [f"| planted in {PLANTED_IN} | serious | told, not serious |", "|---|---|---|"]
    for kind, r in results["shortcuts"].items():
        told = [each for each in r["told"] if each not in r["serious"]]
        cells = [", ".join(each) or "none" for each in (r["serious"], told)]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
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
    parser.add_argument("--only", action="append", help="a key of the results; may be repeated")
    options = asked(parser, needs=["data", "weights"])
    if options.quick:
        globals().update(COPIES=4, REPEATS=1, STRANGE=(5,), VOLUMES=2, DRAWINGS=20, OF_EACH=12)
    results = json.loads(RESULTS.read_text("utf-8")) if options.only else {}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.scratch or Path(temporary)
        results["machine"] = machine()
        for key, found in measured(options.data, options.weights, scratch, options.only):
            results[key] = found
            keep(RESULTS, results, quick=options.quick)
    parts = (tables, table_of_none, table_of_shortcuts, table_of_labels, table_of_outliers)
    print(*(part(results) for part in parts), sep="\n\n")


def measured(
    data: Path, weights: Path, scratch: Path, only: Sequence[str] | None
) -> Iterator[tuple[str, object]]:
    """The parts of the results, one by one."""
    wanted = set(only or ("planted", "as_it_is", "without_copies", "shortcuts", "flipped_labels",
                          "strange_images"))  # fmt: skip
    if wanted & {"planted", "as_it_is", "without_copies"}:
        places = {name: (data / given, flags) for name, (given, flags) in DATASETS.items()}
        places["malaria"] = (malaria(data, scratch), [*SMALL, "--root", str(data)])
        documents = {
            name: audit(place, flags, weights, scratch, name)
            for name, (place, flags) in places.items()
            if place.exists()
        }
        yield "as_it_is", {name: brief(document) for name, document in documents.items()}
        yield "without_copies", without_copies(weights, scratch, documents["malaria"])
        target = scratch / "planted"
        shutil.rmtree(target, ignore_errors=True)
        truth = plant(data / "clothing", target)
        planted = audit(target, [], weights, scratch, "planted")
        yield (
            "planted",
            {**judged(truth, planted, documents["clothing"]), "times": planted["times"]},
        )
    if "shortcuts" in wanted:
        yield "shortcuts", with_shortcuts(data, weights, scratch)
    if wanted & {"flipped_labels", "strange_images"}:
        embedded = {name: Embedded(data / DATASETS[name][0], weights, scratch) for name in EMBEDDED}
        rng = np.random.default_rng(0)
        yield (
            "flipped_labels",
            {name: lists_of_labels(embedded[name], rng) for name in ("clothing", "plankton")},
        )
        yield (
            "strange_images",
            [strange_among(embedded[base], embedded[strange], rng) for base, strange in MIXTURES],
        )


if __name__ == "__main__":
    main()

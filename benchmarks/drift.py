"""Does the drift test of `featx score --report` keep its level, and what does it find?

    python benchmarks/drift.py --data FOLDER --weights squeezenet1_0.safetensors --scratch FOLDER

FOLDER holds clothing/, plankton/ and malaria.csv. False alarms: images on frozen SqueezeNet
features are split at random, clothing and plankton by image, malaria by patient, into those that
are fitted on and new ones, again and again. Power: 1,500 photographs of clothing are set aside and
drawn from as they are, altered, and with another mix of classes; so are images of other data sets;
a classifier of the other photographs meets them. Axes and sample are made as `featx fit` makes
them, with its 5 folds; the classifier is a ridge classifier. Writes benchmarks/results/drift.json
and prints Markdown tables. --scratch keeps embeddings and finished repeats: a further call goes on.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import asked, keep, machine
from PIL import Image, ImageEnhance, ImageFilter

RESULTS = Path(__file__).parent / "results" / "drift.json"
SIZES = (50, 200, 1000)
POWER_SIZES = (50, 200)
A_PATIENT = 24  # images
FEW_PATIENTS = 8
SET_ASIDE, FITTED, FOREIGN = 1500, 2000, 500
LEVEL = 0.05


@dataclass(frozen=True)
class Images:
    """Embeddings, labels and what belongs together."""

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray

    def take(self, rows: np.ndarray) -> Images:
        return Images(self.X[rows], self.y[rows], self.groups[rows])


class Embedder:
    """Frozen SqueezeNet embeddings, kept in the scratch folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.data, self.scratch, self.weights = options.data, options.scratch, options.weights

    def __call__(self, name: str, make: Callable[[], tuple[Path, Path | None]]) -> Images:
        """Without copies; a group is one image where none is known."""
        kept = self.scratch / f"{name}.npz"
        if not kept.exists():
            import featx

            dataset, root = make()
            found = featx.extract(
                dataset,
                root=root and str(root),
                backbone="torchvision:squeezenet1_0",
                weights=str(self.weights),
                cache=str(self.scratch / "cache"),
            )
            _, once = np.unique(found.hashes[found.ok], axis=0, return_index=True)
            once.sort()
            names = [g or f"\0{i}" for i, g in enumerate(found.groups)]
            groups = np.unique(names, return_inverse=True)[1]
            np.savez(kept, X=found.X[once], y=np.array(found.y, str)[once], groups=groups[once])
        with np.load(kept) as file:
            return Images(file["X"], file["y"], file["groups"])

    def folder(self, name: str) -> Images:
        """A data set of one folder."""
        return self(name, lambda: (self.data / name, None))

    def malaria(self) -> Images:
        """Some cells of each patient."""

        def make() -> tuple[Path, Path]:
            with (self.data / "malaria.csv").open(newline="") as stream:
                rows = list(csv.DictReader(stream))
            of_patient: dict[str, list[dict[str, str]]] = defaultdict(list)
            for i in np.random.default_rng(0).permutation(len(rows)):
                of_patient[rows[i]["group"]].append(rows[i])
            path = self.scratch / "malaria.csv"
            with path.open("w", newline="") as stream:
                writer = csv.DictWriter(stream, list(rows[0]))
                writer.writeheader()
                writer.writerows(row for own in of_patient.values() for row in own[:A_PATIENT])
            return path, self.data

        return self("malaria", make)

    def altered(self, number: int, name: str) -> Images:
        """Altered copies of the photographs set aside."""
        folder = self.scratch / "altered"

        def make() -> tuple[Path, None]:
            shutil.rmtree(folder, ignore_errors=True)
            files = sorted((self.data / "clothing").glob("*/*/*.jpg"))
            for i in set_aside(len(files)):
                target = folder / files[i].parent.name / f"{i}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                with Image.open(files[i]) as image:
                    ALTERED[name](image.convert("RGB")).save(target, compress_level=1)
            return folder, None

        images = self(f"altered-{number}", make)
        shutil.rmtree(folder, ignore_errors=True)
        return images


def recompressed(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=15)
    return Image.open(buffer).convert("RGB")


ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "80 % as bright": lambda i: ImageEnhance.Brightness(i).enhance(0.8),
    "half as bright": lambda i: ImageEnhance.Brightness(i).enhance(0.5),
    "blurred by 1 px": lambda i: i.filter(ImageFilter.GaussianBlur(1)),
    "JPEG of quality 15": recompressed,
}


def set_aside(n: int) -> np.ndarray:
    """Which photographs are never fitted on where power is measured."""
    return np.sort(np.random.default_rng(0).permutation(n)[:SET_ASIDE])


class Fitted:
    """What a fit on these images leaves: a classifier, and a sample on axes."""

    def __init__(self, images: Images, seed: int) -> None:
        from sklearn.linear_model import RidgeClassifier
        from sklearn.model_selection import PredefinedSplit, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        from featx.data.splits import make_folds
        from featx.fitting.data import Part
        from featx.fitting.drift import fit_drift
        from featx.fitting.held import HeldOut

        self.classes, y = np.unique(images.y, return_inverse=True)
        groups = np.unique(images.groups, return_inverse=True)[1]
        n = len(y)
        part = Part({"b": images.X}, y, self.classes.tolist(), [str(i) for i in range(n)],
                    np.zeros((n, 32), np.uint8), np.arange(n), groups)  # fmt: skip
        self.head = make_pipeline(StandardScaler(), RidgeClassifier(alpha=1000))
        folds = make_folds(y, groups, part.classes, n_folds=5, seed=seed)
        said = cross_val_predict(self.head, images.X, y, cv=PredefinedSplit(folds.fold))
        held = HeldOut("oof", part, np.zeros(n, int), np.eye(len(self.classes))[said])
        self.head.fit(images.X, y)
        self.drift = fit_drift(images.X, part, held, seed=seed)[1]
        assert self.drift is not None

    def test(self, new: Images, *, grouped: bool = False) -> tuple[float, float]:
        """Adjusted p of the embeddings and of the predicted classes."""
        from featx.stats.drift import mix_shift, place_shift

        old = self.drift
        places = np.concatenate([old.places, old.locate(new.X)])
        is_new = np.arange(len(places)) >= len(old.places)
        blocks = new.groups if grouped else np.arange(len(new.y))
        together = np.append(old.blocks, blocks + old.blocks.max() + 1)
        codes = np.append(old.predicted, self.head.predict(new.X))
        place = place_shift(places, is_new, together, seed=0)
        mix = mix_shift(codes, is_new, together, len(self.classes), seed=0)
        return min(1.0, 2 * place.p), min(1.0, 2 * mix.p)


Outcomes = Iterator[tuple[str, tuple[float, float]]]


def of_images(images: Images, seed: int) -> Outcomes:
    """False alarms where images are independent."""
    order = np.random.default_rng(seed).permutation(len(images.y))
    half = len(order) // 2
    fitted = Fitted(images.take(order[:half]), seed)
    for n in SIZES:
        yield f"{n:,} images", fitted.test(images.take(order[half:][:n]))


def of_patients(images: Images, seed: int) -> Outcomes:
    """False alarms where patients are, and this is known or is not."""
    order = np.random.default_rng(seed).permutation(np.unique(images.groups))
    half = len(order) // 2
    fitted = Fitted(images.take(np.isin(images.groups, order[:half])), seed)
    for n in (FEW_PATIENTS, len(order) - half):
        new = images.take(np.isin(images.groups, order[half:][:n]))
        yield f"{n} patients", fitted.test(new, grouped=True)
    yield f"{n} patients, without the column `group`", fitted.test(new)


def mixed(images: Images, n: int, points: float, rng: np.random.Generator) -> np.ndarray:
    """Rows of ``n`` images, of which the largest class has so much more than its share."""
    names, counts = np.unique(images.y, return_counts=True)
    largest = images.y == names[counts.argmax()]
    n_largest = rng.binomial(n, largest.mean() + points)
    return np.concatenate([
        rng.choice(np.flatnonzero(largest), n_largest, replace=False),
        rng.choice(np.flatnonzero(~largest), n - n_largest, replace=False),
    ])  # fmt: skip


def of_altered(clothing: Images, others: dict[str, Images], seed: int) -> Outcomes:
    """What is found where images are not alike, and where they are."""
    rng = np.random.default_rng(seed)
    aside = np.isin(np.arange(len(clothing.y)), set_aside(len(clothing.y)))
    plain, known = clothing.take(aside), clothing.take(~aside)
    fitted = Fitted(known.take(rng.permutation(len(known.y))[:FITTED]), seed)
    for n in POWER_SIZES:
        drawn = {"as they are": plain.take(rng.choice(len(plain.y), n, replace=False))}
        for points in (10, 25):
            rows = mixed(plain, n, points / 100, rng)
            drawn[f"largest class +{points} points"] = plain.take(rows)
        for name, images in others.items():
            drawn[name] = images.take(rng.choice(len(images.y), n, replace=False))
        for name, images in drawn.items():
            yield f"{name}|{n}", fitted.test(images)


def repeated(
    log: Path, title: str, repeats: int, work: Callable[[int], Outcomes]
) -> dict[str, dict]:
    """Outcomes by condition; repeats in the log are not made again."""
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    done = {row["seed"]: row["p"] for row in rows if row["title"] == title}
    for seed in range(repeats):
        if seed not in done:
            done[seed] = dict(work(seed))
            with log.open("a") as stream:
                stream.write(json.dumps({"title": title, "seed": seed, "p": done[seed]}) + "\n")
        for name, p in done[seed].items():
            found[name].append(tuple(p))
    return {name: rates(np.array(p)) for name, p in found.items()}


def rates(p: np.ndarray) -> dict:
    """How often 5 % is reached: by either test, with its 95 % interval, and by each."""
    from scipy.stats import binomtest

    either = int((p.min(axis=1) <= LEVEL).sum())
    low, high = binomtest(either, len(p)).proportion_ci(method="wilson")
    return {
        "repeats": len(p),
        "drift": either / len(p),
        "interval": [float(low), float(high)],
        "embeddings": float((p[:, 0] <= LEVEL).mean()),
        "predicted_classes": float((p[:, 1] <= LEVEL).mean()),
    }


def tables(results: dict) -> str:
    """Markdown: false alarms, then what is found."""
    lines = [
        "| data | new images | repeats | drift reported (95 % interval) | embeddings "
        "| predicted classes |",
        "|---|---|---|---|---|---|",
    ]
    for data, rows in results["false_alarms"].items():
        for new, r in rows.items():
            low, high = r["interval"]
            lines.append(
                f"| {data} | {new} | {r['repeats']} | {r['drift']:.1%} ({low:.1%} to {high:.1%}) "
                f"| {r['embeddings']:.1%} | {r['predicted_classes']:.1%} |"
            )
    found = results["power"]
    lines += [
        "",
        "| new images | "
        + " | ".join(f"drift reported with {n} of them" for n in POWER_SIZES)
        + " |",
        "|---" * (1 + len(POWER_SIZES)) + "|",
    ]
    for name in dict.fromkeys(condition.partition("|")[0] for condition in found):
        cells = [f"{found[f'{name}|{n}']['drift']:.0%}" for n in POWER_SIZES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--repeats", type=int, default=300, help="of false alarms")
    parser.add_argument("--power-repeats", type=int, default=100)
    options = asked(parser, needs=["data", "weights"], folders=["scratch"])
    if options.quick:
        options.repeats = options.power_repeats = 2
        globals().update(SIZES=(20, 40), POWER_SIZES=(20,), SET_ASIDE=60, FITTED=100, FOREIGN=50)
    import scipy.linalg  # noqa: F401  its threads are limited only where it is there already
    from threadpoolctl import threadpool_limits

    options.scratch.mkdir(parents=True, exist_ok=True)
    log = options.scratch / "repeats.jsonl"
    embed = Embedder(options)
    clothing, plankton, malaria = (
        embed.folder("clothing"),
        embed.folder("plankton"),
        embed.malaria(),
    )
    others = {name: embed.altered(number, name) for number, name in enumerate(ALTERED)}
    some = np.random.default_rng(0).permutation(len(plankton.y))[:FOREIGN]
    others |= {"plankton": plankton.take(some), "malaria": malaria}
    alarms: dict[str, tuple[Callable[[Images, int], Outcomes], Images]] = {
        "clothing": (of_images, clothing),
        "plankton": (of_images, plankton),
        "malaria": (of_patients, malaria),
    }
    with threadpool_limits(1):
        results = {
            "machine": machine(),
            "false_alarms": {
                name: repeated(
                    log, name, options.repeats, lambda seed, w=work, i=images: w(i, seed)
                )
                for name, (work, images) in alarms.items()
            },
            "power": repeated(
                log, "power", options.power_repeats, lambda seed: of_altered(clothing, others, seed)
            ),
        }
    keep(RESULTS, results, quick=options.quick)
    print(tables(results))


if __name__ == "__main__":
    main()

"""Does the drift test of `featx score --report` keep its level, and what does it find?

    python benchmarks/drift.py --data FOLDER --weights squeezenet1_0.safetensors --cache FOLDER

FOLDER holds clothing/, plankton/ and malaria.csv. False alarms: frozen SqueezeNet embeddings of
clothing, and of malaria by patient, are split at random into images to fit on and new ones, again
and again. Power: a classifier of clothing's training split meets its other images as they are,
darkened, blurred, recompressed, with another mix of classes, and images of other
data sets. Each time axes, sample and out-of-fold predictions (a ridge classifier's) are made as
`featx fit` makes them. Writes benchmarks/results/drift.json and prints Markdown tables.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

RESULTS = Path(__file__).parent / "results" / "drift.json"
SIZES = (50, 200, 1000)
POWER_SIZES = (50, 200)
A_PATIENT = 24  # images
FOREIGN = 250  # altered images, and images of another data set
LEVEL = 0.05


@dataclass(frozen=True)
class Images:
    """Embeddings, labels and what belongs together."""

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    splits: np.ndarray

    def take(self, rows: np.ndarray) -> Images:
        return Images(self.X[rows], self.y[rows], self.groups[rows], self.splits[rows])


def embed(dataset: Path, options: argparse.Namespace, root: Path | None = None) -> Images:
    """Frozen SqueezeNet embeddings, without copies; a group is one image where none is known."""
    import featx

    found = featx.extract(
        dataset,
        root=root and str(root),
        backbone="torchvision:squeezenet1_0",
        weights=str(options.weights),
        cache=str(options.cache),
    )
    _, once = np.unique(found.hashes[found.ok], axis=0, return_index=True)
    once.sort()
    names = [g or f"\0{i}" for i, g in enumerate(found.groups)]
    groups = np.unique(names, return_inverse=True)[1]
    return Images(found.X[once], np.array(found.y, str)[once], groups[once],
                  np.array([str(s) for s in found.splits])[once])  # fmt: skip


def some(rows: list[list[str]], header: list[str], folder: Path) -> Path:
    """A manifest of some images of a data set."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "some.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


class Fitted:
    """What a fit on these images leaves: a classifier, and a sample on axes."""

    def __init__(self, images: Images, seed: int) -> None:
        from sklearn.linear_model import RidgeClassifier
        from sklearn.model_selection import GroupKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        from featx.fitting.data import Part
        from featx.fitting.drift import fit_drift
        from featx.fitting.estimate import Held

        self.classes, y = np.unique(images.y, return_inverse=True)
        groups = np.unique(images.groups, return_inverse=True)[1]
        n = len(y)
        part = Part({"b": images.X}, y, self.classes.tolist(), [str(i) for i in range(n)],
                    np.zeros((n, 32), np.uint8), np.arange(n), groups)  # fmt: skip
        self.head = make_pipeline(StandardScaler(), RidgeClassifier())
        said = cross_val_predict(self.head, images.X, y, groups=groups, cv=GroupKFold(3))
        held = Held("oof", part, np.zeros(n, int), np.eye(len(self.classes))[said])
        self.head.fit(images.X, y)
        self.drift = fit_drift(images.X, part, held, seed=seed)[1]
        assert self.drift is not None

    def test(self, new: Images, *, grouped: bool) -> tuple[float, float]:
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


def halves(images: Images, repeats: int) -> Iterator[tuple[Images, Images]]:
    """Random halves by group, the second in random order."""
    rng = np.random.default_rng(0)
    groups = np.unique(images.groups)
    for _ in range(repeats):
        chosen = rng.permutation(groups)[: len(groups) // 2]
        fit = np.isin(images.groups, chosen)
        yield images.take(fit), images.take(rng.permutation(np.flatnonzero(~fit)))


def rates(ps: list[tuple[float, float]]) -> dict[str, float | int]:
    """Shares of significant outcomes at 5 %, both tests together and each by itself."""
    p = np.array(ps)
    return {
        "repeats": len(p),
        "drift": float((p.min(axis=1) <= LEVEL).mean()),
        "embeddings": float((p[:, 0] <= LEVEL).mean()),
        "predicted_classes": float((p[:, 1] <= LEVEL).mean()),
    }


def false_alarms(clothing: Images, malaria: Images, repeats: int) -> list[dict]:
    """How often images that are alike are called drifted."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for seed, (fit, new) in enumerate(halves(clothing, repeats)):
        fitted = Fitted(fit, seed)
        for n in SIZES:
            p = fitted.test(new.take(np.arange(n)), grouped=False)
            found.setdefault(("clothing", f"{n} new images"), []).append(p)
    for seed, (fit, new) in enumerate(halves(malaria, repeats)):
        fitted = Fitted(fit, seed)
        for grouped in (True, False):
            way = "new patients, " + ("known" if grouped else "not known")
            found.setdefault(("malaria", way), []).append(fitted.test(new, grouped=grouped))
    return [{"data": data, "new": way, **rates(ps)} for (data, way), ps in found.items()]


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


def alter(clothing: Path, folder: Path, name: str) -> Path:
    """Altered copies of some images that are not of the training split."""
    files = sorted([*clothing.glob("test/*/*.jpg"), *clothing.glob("validation/*/*.jpg")])
    for i in np.random.default_rng(0).permutation(len(files))[:FOREIGN]:
        path = files[i]
        target = folder / name / path.parent.name / f"{path.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            ALTERED[name](image.convert("RGB")).save(target)
    return folder / name


def mixed(images: Images, n: int, points: float, rng: np.random.Generator) -> np.ndarray:
    """Rows of ``n`` images, of which the largest class has so much more than its share."""
    names, counts = np.unique(images.y, return_counts=True)
    largest = images.y == names[counts.argmax()]
    n_largest = rng.binomial(n, largest.mean() + points)
    return np.concatenate([
        rng.choice(np.flatnonzero(largest), n_largest),
        rng.choice(np.flatnonzero(~largest), n - n_largest),
    ])  # fmt: skip


def power(clothing: Images, others: dict[str, Images], repeats: int) -> list[dict]:
    """How often images that are not alike are."""
    rng = np.random.default_rng(0)
    training = clothing.take(clothing.splits == "train")
    plain = clothing.take(clothing.splits != "train")
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for seed in range(repeats):
        fitted = Fitted(training.take(rng.permutation(len(training.y))[:2000]), seed)
        for n in POWER_SIZES:
            new = {
                "as they are": plain.take(rng.choice(len(plain.y), n, replace=False)),
                "largest class +10 points": plain.take(mixed(plain, n, 0.1, rng)),
                "largest class +25 points": plain.take(mixed(plain, n, 0.25, rng)),
            }
            for name, images in others.items():
                new[name] = images.take(rng.choice(len(images.y), n, replace=False))
            for name, images in new.items():
                found.setdefault((name, n), []).append(fitted.test(images, grouped=False))
    return [{"new": name, "n_new": n, **rates(ps)} for (name, n), ps in found.items()]


def tables(results: dict) -> str:
    """Markdown."""
    lines = ["| data | new | repeats | drift | embeddings | predicted classes |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    measures = ("drift", "embeddings", "predicted_classes")
    lines += [
        f"| {r['data']} | {r['new']} | {r['repeats']} | "
        + " | ".join(f"{r[m]:.1%}" for m in measures)
        + " |"
        for r in results["false_alarms"]
    ]
    lines += ["", "| new images | " + " | ".join(f"{n} of them" for n in POWER_SIZES) + " |",
              "|---" * (1 + len(POWER_SIZES)) + "|"]  # fmt: skip
    rows: dict[str, list[str]] = {}
    for r in results["power"]:
        rows.setdefault(r["new"], []).append(f"{r['drift']:.0%}")
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=100, help="of false alarms")
    parser.add_argument("--power-repeats", type=int, default=20)
    options = parser.parse_args()
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        scratch, data = Path(temporary), options.data
        clothing = embed(data / "clothing", options)
        with (data / "malaria.csv").open(newline="") as stream:
            rows = [[r["path"], r["label"], r["group"]] for r in csv.DictReader(stream)]
        of_patient: dict[str, list[list[str]]] = {}
        for i in rng.permutation(len(rows)):
            of_patient.setdefault(rows[i][2], []).append(rows[i])
        kept = [row for own in of_patient.values() for row in own[:A_PATIENT]]
        header = ["path", "label", "group"]
        malaria = embed(some(kept, header, scratch / "malaria"), options, data)
        files = sorted((data / "plankton").glob("*/*.jpg"))
        cells = [
            [files[i].relative_to(data).as_posix(), "plankton"]
            for i in rng.permutation(len(files))[:FOREIGN]
        ]
        others = {name: embed(alter(data / "clothing", scratch, name), options) for name in ALTERED}
        others["plankton"] = embed(some(cells, header[:2], scratch / "plankton"), options, data)
        others["malaria"] = malaria
    with threadpool_limits(1):
        results = {
            "false_alarms": false_alarms(clothing, malaria, options.repeats),
            "power": power(clothing, others, options.power_repeats),
        }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(tables(results))


if __name__ == "__main__":
    main()

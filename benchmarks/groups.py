"""Does `featx audit` find groups that nobody wrote down, and does it join what does not belong?

    python benchmarks/groups.py --data FOLDER --scratch FOLDER

FOLDER holds clothing/, plankton/, bccd.csv and malaria.csv. Malaria is audited without its group
column, against its patients. From images of clothing and plankton, bursts (moments in EXIF, names
at random), tiles (positions in the names), turned copies and other exposures are made; their
truth is the image they come from. Clean data are audited as they are, with the digits of scikit-
learn: images that the audit joins to others of another true group (or to any, where there is no
truth), are joined falsely. In bccd, eight cells are on two slides each, and their images belong
together. Writes benchmarks/results/groups.json and prints a
Markdown table.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measuring import asked, keep, machine
from PIL import Image, ImageOps

from featx.auditing import AuditData
from featx.auditing.audit import NEIGHBOURS, alike_sets
from featx.auditing.grouping import find_groups
from featx.auditing.neighbours import nearest, standardise
from featx.auditing.proposals import FoundGroups
from featx.config import DatasetConfig, ExtractConfig
from featx.console import counted
from featx.data.opening import open_data
from featx.extraction.embedding import extract_manifest

RESULTS = Path(__file__).parent / "results" / "groups.json"
#: Slides of bccd that show one and the same cell, found by eye.
ONE_CELL = {277: 204, 276: 205, 257: 230, 256: 231, 247: 244, 395: 382, 393: 384, 391: 386}
IMAGES = 120  # that something is made of, of each data set
Made = Iterator[tuple[Image.Image, str, datetime | None]]


def pairs_of(codes: Sequence[str]) -> float:
    """Pairs with the same code."""
    return sum(n * (n - 1) / 2 for n in Counter(codes).values())


def pairwise(found: Mapping[str, str], truth: Mapping[str, str]) -> dict[str, float]:
    """Precision, recall and F1 of the pairs that are kept together."""
    ids = sorted(truth)
    ours, theirs = [found.get(i, f"alone {i}") for i in ids], [truth[i] for i in ids]
    both = pairs_of([f"{a}|{b}" for a, b in zip(ours, theirs, strict=True)])
    n_ours, n_theirs = pairs_of(ours), pairs_of(theirs)
    precision = both / n_ours if n_ours else 1.0
    recall = both / n_theirs if n_theirs else 1.0
    return {"precision": precision, "recall": recall,
            "f1": 2 * precision * recall / max(precision + recall, 1e-12)}  # fmt: skip


def bursts(image: Image.Image, rng: np.random.Generator, start: datetime) -> Made:
    """Four frames, a second apart, moved a little and of other brightness, named at random."""
    at = start + timedelta(seconds=int(rng.integers(600, 7200)))
    for k in range(4):
        cut = [int(rng.integers(0, 1 + side // 20)) for side in image.size * 2]
        frame = image.crop((cut[0], cut[1], image.width - cut[2], image.height - cut[3]))
        gain = rng.uniform(0.9, 1.1)
        yield frame.point(lambda v, g=gain: min(255, int(v * g))), "", at + timedelta(seconds=k)


def tiles(image: Image.Image, rng: np.random.Generator, start: datetime) -> Made:
    """Quarters, with their places in the name."""
    w, h = image.width // 2, image.height // 2
    for x in (0, 1):
        for y in (0, 1):
            yield image.crop((x * w, y * h, x * w + w, y * h + h)), f"_x{x}_y{y}", None


def turns(image: Image.Image, rng: np.random.Generator, start: datetime) -> Made:
    """As it is, turned, and mirrored; named at random."""
    yield image, "", None
    yield image.rotate(90 * int(rng.integers(1, 4)), expand=True), "", None
    yield ImageOps.mirror(image), "", None


def exposures(image: Image.Image, rng: np.random.Generator, start: datetime) -> Made:
    """As it is, darker, and with another gamma; named at random."""
    yield image, "", None
    gain, gamma = rng.uniform(0.6, 0.9), rng.uniform(0.7, 1.5)
    yield image.point(lambda v: int(v * gain)), "", None
    yield image.point(lambda v: int(255 * (v / 255) ** gamma)), "", None


def frames(image: Image.Image, rng: np.random.Generator, start: datetime) -> Made:
    """Six frames of a camera that pans, with noise and a drift of brightness; gaps anywhere."""
    w, h = (side * 3 // 4 for side in image.size)
    pan, gain, at = rng.uniform(0, 0.05, 2) * (image.size), rng.uniform(0.97, 1.03), start
    for k in range(6):
        at += timedelta(seconds=int(rng.integers(1, 10)))
        x, y = (int(each * k) for each in pan)
        frame = np.asarray(image.crop((x, y, x + w, y + h)), dtype=float) * gain**k
        frame += rng.normal(0, 3, frame.shape)
        picture = Image.fromarray(frame.clip(0, 255).astype(np.uint8))
        yield picture, f"frame_{at.timestamp():.0f}", at


KINDS: dict[str, Callable[..., Made]] = {
    "bursts": bursts, "tiles": tiles, "frames": frames, "turns": turns, "exposures": exposures,
}  # fmt: skip


def plant(images: list[Path], kind: str, folder: Path) -> dict[str, str]:
    """Images of one kind below ``folder``; id -> what it comes from."""
    rng = np.random.default_rng(0)
    truth, moment = {}, datetime(2024, 5, 1)
    for path in images:
        label, parent = path.parent.name, rng.bytes(4).hex()
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        for made, suffix, taken in KINDS[kind](image, rng, moment):
            name = suffix if taken else f"{parent}{suffix}"
            name = name if suffix else rng.bytes(8).hex()
            exif = Image.Exif()
            if taken is not None and not suffix:
                exif[306], exif[271], exif[272] = f"{taken:%Y:%m:%d %H:%M:%S}", "Maker", "Trap"
            moment = taken or moment
            target = folder / label / f"{name}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            made.save(target, quality=92, exif=exif)
            truth[target.relative_to(folder).as_posix()] = path.as_posix()
    return truth


def audited(dataset: Path, cache: Path, **options: Any) -> tuple[dict, dict]:
    """What the audit says of copies and groups, and the groups to be kept together."""
    manifest = open_data(DatasetConfig(dataset=str(dataset), **options), quiet=True)
    extraction = extract_manifest(manifest, ExtractConfig(cache=str(cache)))[0]
    return examined(AuditData.of(extraction, workers=None))[:2]


def examined(data: AuditData) -> tuple[dict, dict, FoundGroups]:
    """The same from images that have been looked at, and the proposals themselves."""
    Z = standardise(data.X)
    sets = alike_sets(data, Z, *nearest(Z, NEIGHBOURS))
    found = find_groups(data, Z, sets, seed=0)
    results = {"images": len(data), "groups_found": found.document()}
    return results, dict(zip(data.ids, map(str, found.codes.tolist()), strict=True)), found


def described(results: dict) -> dict[str, Any]:
    """What was proposed and what it does to the score."""
    taken = [each for each in results["groups_found"] if each["taken"]]
    return {
        "images": results["images"],
        "proposed": [f"{counted(each['groups'], 'group')} by {each['said']}" for each in taken],
        "effect": [each["effect"] and each["effect"]["sentence"] for each in taken],
    }


def falsely(results: dict, found: Mapping[str, str], truth: Mapping[str, str]) -> float:
    """Share of images that are joined to one of another true group; without truth, to any."""
    members: dict[str, set[str]] = {}
    for id, group in found.items():
        members.setdefault(group, set()).add(truth.get(id, id))
    wrong = [id for id, group in found.items() if len(members[group]) > 1]
    return len(wrong) / results["images"]


def digits(folder: Path) -> Path:
    """The 1,797 digits of scikit-learn as files."""
    from sklearn.datasets import load_digits

    data = load_digits()
    for i, (pixels, label) in enumerate(zip(data.images, data.target, strict=True)):
        path = folder / str(label) / f"{i:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((pixels * 15.9).astype(np.uint8))
        image.resize((64, 64), Image.Resampling.BICUBIC).save(path)
    return folder


def truth_of(table: Path) -> dict[str, str]:
    same = {f"BloodImage_{b:05}": f"BloodImage_{a:05}" for b, a in ONE_CELL.items()}
    with table.open(newline="", encoding="utf-8") as file:
        return {row["path"]: same.get(row["group"], row["group"]) for row in csv.DictReader(file)}


def without_groups(table: Path, scratch: Path) -> Path:
    """The table without its group column, beside nothing: its root is the folder of the table."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = [(row["path"], row["label"]) for row in csv.DictReader(file)]
    target = scratch / table.name
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--cache", type=Path, help="default: in the scratch folder")
    parser.add_argument("--only", nargs="+", help="rows to measure; the others stay as they are")
    options = asked(parser, needs=["data"], folders=["scratch"])
    data, scratch = options.data, options.scratch
    cache = options.cache or scratch / "cache"
    found: dict[str, Any] = {"machine": machine(), "backbone": "featx:lite0"}
    if options.only and RESULTS.exists():
        found = json.loads(RESULTS.read_text("utf-8")) | found
    print(
        "| data | images | pairwise F1 | joined falsely | proposed |\n|---|---|---|---|---|",
        flush=True,
    )
    for name, measure in rows(data, scratch, cache, 12 if options.quick else IMAGES).items():
        if not options.only or name in options.only:
            found[name] = measure()
            tell(name, found[name])
    keep(RESULTS, found, quick=options.quick)


def rows(data: Path, scratch: Path, cache: Path, n: int) -> dict[str, Callable[[], dict]]:
    """What measures each row of the table."""

    def made(name: str, dataset: str, kind: str) -> dict[str, Any]:
        images = sorted((data / dataset).glob("*/*"))
        drawn = np.random.default_rng(1).permutation(len(images))[:n]
        folder = scratch / f"{name}-{kind}"
        truth = plant([images[i] for i in drawn], kind, folder)
        results, groups = audited(folder, cache)
        row = described(results) | pairwise(groups, truth)
        return row | {"joined_falsely": falsely(results, groups, truth)}

    def listed(table: str) -> dict[str, Any]:
        truth = truth_of(data / f"{table}.csv")
        without = without_groups(data / f"{table}.csv", scratch)
        results, groups = audited(without, cache, root=str(data))
        row = described(results) | (pairwise(groups, truth) if table == "malaria" else {})
        return row | {"joined_falsely": falsely(results, groups, truth)}

    def clean(name: str) -> dict[str, Any]:
        folder = digits(scratch / "digits") if name == "digits" else data / name
        results, groups = audited(folder, cache)
        return described(results) | {"joined_falsely": falsely(results, groups, {})}

    sources = (("clothing", "clothing/train"), ("plankton", "plankton"))
    return {
        **{f"{name}, {kind}": partial(made, name, dataset, kind)
           for name, dataset in sources for kind in KINDS},
        **{table: partial(listed, table) for table in ("malaria", "bccd")},
        **{name: partial(clean, name) for name in ("clothing", "plankton", "digits")},
    }  # fmt: skip


def tell(name: str, row: dict[str, Any]) -> None:
    """One line of the table."""
    f1 = f"{row['f1']:.3f}" if "f1" in row else ""
    proposed = "; ".join(row["proposed"]) or "none"
    print(
        f"| {name} | {row['images']:,} | {f1} | {100 * row['joined_falsely']:.1f} % | {proposed} |",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""The data and embeddings of benchmarks/race.py: everything extracted once, and what it took."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measuring import left_out
from planting import digits

import featx
from featx.data.subsets import joining_order

DATA = {
    "clothing": "clothing",
    "bccd": "bccd.csv",
    "malaria": "malaria.csv",
    "plankton": "plankton",
    "pacs": "pacs",
    "digits": "",
}
MOST_IMAGES = {"malaria": 750, "plankton": 1000, "pacs": 1000}
OTHERS = "-others"  # of a name: as many of the images that the data set of that name leaves
NAMES = [*DATA, *(f"{name}{OTHERS}" for name in ("malaria",))]
SIZES = (0.5, 1.0, 1.5)  # of the weights' own
OWN_PX = {"featx:lite0": 224, "featx:mini-v1": 128, "torchvision:squeezenet1_0": 224}
RESIZES = ("shortest", "squash")


@dataclass(frozen=True)
class Stream:
    """One forward pass: a backbone at a size, and how images get that size."""

    backbone: str
    size_px: int
    resize: str

    @property
    def name(self) -> str:
        return f"{self.backbone} {self.size_px} {self.resize}"


def streams(*, quick: bool = False) -> list[Stream]:
    if quick:
        return [Stream("featx:mini-v1", size, "squash") for size in (32, 64)]
    return [
        Stream(backbone, round(own * share), resize)
        for backbone, own in OWN_PX.items()
        for share in SIZES
        for resize in RESIZES
    ]


def rows_of(name: str, data: Path, scratch: Path) -> list[tuple[str, str, str]]:
    """Path, label and group of each image; the group is empty where there is none."""
    name = name.removesuffix(OTHERS)
    if name == "digits":
        digits(scratch / "digits")
        place = scratch / "digits"
    else:
        place = data / DATA[name]
    if place.suffix == ".csv":
        with place.open(newline="", encoding="utf-8") as file:
            found = [(r["path"], r["label"], r["group"]) for r in csv.DictReader(file)]
        return [(str((data / path).resolve()), label, group) for path, label, group in found]
    files = (p for p in sorted(place.rglob("*")) if p.suffix in {".jpg", ".png"})
    return [(str(p.resolve()), p.parent.name, "") for p in files]


def manifest(name: str, data: Path, scratch: Path, most: int) -> Path:
    """A manifest of at most ``most`` images, classes in proportion."""
    path = scratch / f"{name}.csv"
    if path.exists():
        return path
    rows = rows_of(name, data, scratch)
    if name.endswith(OTHERS):
        first = manifest(name.removesuffix(OTHERS), data, scratch, most)
        with first.open(newline="", encoding="utf-8") as file:
            taken = {row["path"] for row in csv.DictReader(file)}
        rows = [row for row in rows if row[0] not in taken]
    labels = np.unique([r[1] for r in rows], return_inverse=True)[1]
    chosen = joining_order(labels, np.arange(len(rows)), seed=0).subset(min(most, len(rows)))
    grouped = any(r[2] for r in rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", *(["group"] if grouped else [])])
        writer.writerows(rows[i] if grouped else rows[i][:2] for i in chosen)
    return path


def extract_all(
    data: Path, weights: Path, scratch: Path, names: list[str], most: int | None = None
) -> None:
    """Embed every data set with every stream; what is there already is not computed again."""
    scratch.mkdir(parents=True, exist_ok=True)
    for name in names:
        known = name.removesuffix(OTHERS)
        if DATA[known] and not (data / DATA[known]).exists():
            left_out(name, f"{data / DATA[known]} is not here")
            continue
        table = manifest(name, data, scratch, most or MOST_IMAGES.get(known, 1500))
        for stream in streams(quick=most is not None):
            done = scratch / "streams" / name / f"{stream.name.replace(':', '-')}.npz"
            if done.exists():
                continue
            found, taken = extract(table, stream, weights, scratch / "cache")
            done.parent.mkdir(parents=True, exist_ok=True)
            first = found[0]
            arrays = {e.name.removeprefix(f"{stream.backbone}/"): e.X for e in found}
            more = {"y": first.y.astype(str), "hashes": first.hashes[first.ok]}
            if first.groups.size and first.groups[0] is not None:
                more["groups"] = first.groups.astype(str)
            np.savez(done, **arrays, **{f"_{k}": v for k, v in more.items()},
                     _taken=json.dumps(taken))  # fmt: skip
            print(name, stream.name, taken, flush=True)


def extract(
    table: Path, stream: Stream, weights: Path, cache: Path
) -> tuple[list[Any], dict[str, float]]:
    """Every layer and pooling of one stream, and the seconds that all images took."""
    own = {"weights": weights} if stream.backbone.startswith("torchvision") else {}
    started, cpu = time.perf_counter(), time.process_time()
    found = featx.extract(
        table,
        root="/",
        backbone=stream.backbone,
        size=stream.size_px,
        resize=stream.resize,
        layer="auto",
        pooling=["avg", "max"],
        cache=cache,
        workers=2,
        **own,
    )
    report = found[0].report
    return found, {
        "images": report.computed,
        "elapsed_s": round(time.perf_counter() - started, 3),
        "setup_s": round(report.setup_s, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "decode_s": round(report.decode_s, 3),
        "forward_s": round(report.forward_s, 3),
    }


def load(name: str, scratch: Path) -> Iterator[tuple[Stream, Mapping[str, Any]]]:
    """The embeddings of every stream by layer and pooling."""
    for stream in [*streams(), *streams(quick=True)]:
        path = scratch / "streams" / name / f"{stream.name.replace(':', '-')}.npz"
        if not path.exists():  # in a quick run
            continue
        with np.load(path) as file:
            yield stream, {k: file[k] for k in file.files}

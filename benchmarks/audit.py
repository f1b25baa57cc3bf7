"""Does `featx audit` find what is wrong? Real data sets as they are, and one with planted faults.

    python benchmarks/audit.py --data FOLDER --weights squeezenet1_0.safetensors

FOLDER holds clothing/, bccd.csv and plankton/. Each is audited on frozen ImageNet SqueezeNet
features; then a copy of clothing with known faults: copies of training images in the test split
(exact, resized, recompressed, slightly cropped), 5 % flipped labels, and a frame around every image
of one class. What the clean copy already reports is no false alarm of the planted one and is
counted apart. Writes benchmarks/results/audit.json and prints Markdown tables.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
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
            framed = ImageOps.expand(image.convert("RGB"), FRAME_PX, fill=(20, 60, 160))
        framed.save(path, quality=90)
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

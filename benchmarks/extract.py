"""Extraction: featx against the plain timm DataLoader loop, in turn, on the same images.

    python benchmarks/extract.py --images DIR [--backbone resnet50] [--limit 320] [--rounds 3]

Both sides use the same architecture with random weights (which cost the same as trained ones),
fp32, all cores, each run in a process of its own, A B A B. Times exclude imports and building the
network; the start-up is given beside them. Without --images, photographs of the size of a phone
preview (400x533) are made from noise and gradients. Writes benchmarks/results/extract.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "extract.json"

PLAIN = """
import json, os, sys, time
start = time.perf_counter()
import timm, torch
from timm.data import create_transform, resolve_model_data_config
from torch.utils.data import DataLoader, Dataset
from PIL import Image

name, listing = sys.argv[1], sys.argv[2]
paths = open(listing).read().split("\\n")
model = timm.create_model(name, pretrained=False, num_classes=0).eval()
transform = create_transform(**resolve_model_data_config(model))

class Images(Dataset):
    def __len__(self):
        return len(paths)
    def __getitem__(self, i):
        return transform(Image.open(paths[i]).convert("RGB"))

loader = DataLoader(Images(), batch_size=32, num_workers=os.cpu_count())
ready = time.perf_counter()
rows = 0
with torch.inference_mode():
    for batch in loader:
        rows += len(model(batch).numpy())
assert rows == len(paths)
print(json.dumps({"start_s": ready - start, "elapsed_s": time.perf_counter() - ready}))
"""

FEATX = """
import json, sys, tempfile, time
start = time.perf_counter()
from featx.config import DatasetConfig, ExtractConfig
from featx.data.reader import read_manifest
from featx.extraction import Extractor, run_extractors
from featx import console

console.set_verbosity(-1)
name, manifest, root, cache = sys.argv[1:]
config = ExtractConfig(backbone=["timm:" + name], pretrained=False, cache=cache, precision="fp32")
data = DatasetConfig(dataset=manifest, root=root)
extractors = [Extractor.from_request(r, config) for r in config.requests()]
ready = time.perf_counter()
[found] = run_extractors(read_manifest(data), extractors, config)
end = time.perf_counter()
again = time.perf_counter()
[second] = run_extractors(read_manifest(data), extractors, config)
assert found.ok.all() and second.report.computed == 0
report = found.report.document()
print(json.dumps({"start_s": ready - start, "elapsed_s": end - ready, "report": report,
                  "rerun_s": time.perf_counter() - again}))
"""


def images_of(folder: Path | None, limit: int, scratch: Path) -> tuple[Path, list[str]]:
    """The first ``limit`` images below ``folder``; made ones where it is None."""
    if folder is None:
        folder = scratch / "images"
        make_photographs(folder, limit)
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not found:
        raise SystemExit(f"no images below {folder}")
    return folder, [str(p) for p in found[:limit]]


def make_photographs(folder: Path, count: int) -> None:
    """JPEG files with the frequencies of photographs: gradients with a little noise."""
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
        smooth = Image.fromarray(coarse).resize((533, 400), Image.Resampling.BICUBIC)
        noisy = np.asarray(smooth, np.int16) + rng.normal(0, 6, (400, 533, 3)).astype(np.int16)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i:05}.jpg")


def measure(code: str, *arguments: str) -> dict:
    """Run one side in a process of its own and read what it prints."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise SystemExit(result.stderr)
    return json.loads(result.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path)
    parser.add_argument("--backbone", default="resnet50", help="a timm architecture")
    parser.add_argument("--limit", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    plain, featx = [], []
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        root, paths = images_of(options.images, options.limit, scratch)
        listing, manifest = scratch / "paths.txt", scratch / "manifest.csv"
        listing.write_text("\n".join(paths))
        manifest.write_text("path\n" + "\n".join(os.path.relpath(p, root) for p in paths) + "\n")
        for turn in range(options.rounds):
            plain.append(measure(PLAIN, options.backbone, str(listing)))
            cache = str(scratch / f"cache{turn}")
            featx.append(measure(FEATX, options.backbone, str(manifest), str(root), cache))
    document = summary(options.backbone, len(paths), plain, featx)
    print_table(document)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")


def summary(backbone: str, n: int, plain: list[dict], featx: list[dict]) -> dict:
    """Medians, and the ratio round by round."""
    ratios = [p["elapsed_s"] / f["elapsed_s"] for p, f in zip(plain, featx, strict=True)]

    def median(rows: list[dict], key: str) -> float:
        return round(statistics.median(row[key] for row in rows), 3)

    return {
        "backbone": backbone,
        "images": n,
        "rounds": len(plain),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "plain_timm_loop": {
            "elapsed_s": median(plain, "elapsed_s"),
            "images_per_s": round(n / median(plain, "elapsed_s"), 1),
            "start_s": median(plain, "start_s"),
        },
        "featx": {
            "elapsed_s": median(featx, "elapsed_s"),
            "images_per_s": round(n / median(featx, "elapsed_s"), 1),
            "start_s": median(featx, "start_s"),
            "rerun_s": median(featx, "rerun_s"),
            "report": featx[-1]["report"],
        },
        "speedup": {
            "min": round(min(ratios), 2),
            "median": round(statistics.median(ratios), 2),
            "max": round(max(ratios), 2),
        },
    }


def print_table(document: dict) -> None:
    """The document for people."""
    print(f"{document['backbone']}, {document['images']} images, {document['cores']} cores, fp32")
    for side in ("plain_timm_loop", "featx"):
        row = document[side]
        print(
            f"{side:16} {row['elapsed_s']:8.2f} s  {row['images_per_s']:8.1f} images/s  "
            f"start {row['start_s']:.1f} s"
        )
    speedup = document["speedup"]
    print(f"featx / plain    {speedup['median']}x (from {speedup['min']} to {speedup['max']})")
    print(f"second featx run {document['featx']['rerun_s']:.2f} s (hashing only)")


if __name__ == "__main__":
    main()

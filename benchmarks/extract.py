"""Extraction: featx, per engine and precision, against the plain loops, on the same images.

    python benchmarks/extract.py --images DIR [--backbone resnet50 --backbone vit_small_patch16_224]
                                 [--limit 240] [--rounds 3]

Every side runs the same timm architecture with random weights (which cost the same as trained
ones) on all cores, in a process of its own, in turn (A B C A B C). Rates exclude start-up, which is
given beside them: imports and building or loading the network. Beside the sides stand the limits of
each engine: forward only, decoding only, and H = 1 / (1/D + 1/F), what both can reach together when
they share the cores. Without --images, photographs of the size of a phone preview (400x533) are
made from noise and gradients. Large photographs (2000x3000) are made from the same images, to
measure decoding. Memory is measured by memory.py. Writes benchmarks/results/extract.json.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from measuring import asked, keep, machine, runnable, versions

RESULTS = Path(__file__).parent / "results" / "extract.json"

FORWARD_S = 3.0  # of measuring a network alone
LARGE = 48  # photographs of 6 megapixels

PEAK = """
def peak_mb():
    import sys
    try:
        import resource
    except ImportError:  # Windows does not tell
        return 0
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
"""

PLAIN = """
import contextlib, json, os, sys, time
start = time.perf_counter()
import timm, torch
from timm.data import create_transform, resolve_model_data_config
from torch.utils.data import DataLoader, Dataset
from PIL import Image

name, listing, precision = sys.argv[1:]
paths = open(listing).read().split("\\n")
model = timm.create_model(name, pretrained=False, num_classes=0).eval()
transform = create_transform(**resolve_model_data_config(model))

class Images(Dataset):
    def __len__(self):
        return len(paths)
    def __getitem__(self, i):
        return transform(Image.open(paths[i]).convert("RGB"))

# elsewhere workers are started anew, and find no class of a script that is no file
workers = os.cpu_count() if sys.platform == "linux" else 0
loader = DataLoader(Images(), batch_size=32, num_workers=workers)
autocast = contextlib.nullcontext()
if precision == "bf16":
    autocast = torch.autocast("cpu", torch.bfloat16)
ready = time.perf_counter()
rows = 0
with torch.inference_mode(), autocast:
    for batch in loader:
        rows += len(model(batch).float().numpy())
assert rows == len(paths)
print(json.dumps({"start_s": ready - start, "elapsed_s": time.perf_counter() - ready,
                  "peak_mb": peak_mb()}))
"""

TORCHVISION = """
import json, sys, time
start = time.perf_counter()
import torch, torchvision
from PIL import Image
from torchvision.models.feature_extraction import create_feature_extractor

name, listing, _ = sys.argv[1:]
paths = open(listing).read().split("\\n")
model = torchvision.models.get_model(name, weights=None).eval()
model = create_feature_extractor(model, {"flatten": "features"})
transform = torchvision.models.get_model_weights(name).DEFAULT.transforms()
ready = time.perf_counter()
rows = 0
with torch.inference_mode():
    for i in range(0, len(paths), 32):
        batch = torch.stack([transform(Image.open(p).convert("RGB")) for p in paths[i : i + 32]])
        rows += len(model(batch)["features"].numpy())
assert rows == len(paths)
print(json.dumps({"start_s": ready - start, "elapsed_s": time.perf_counter() - ready,
                  "peak_mb": peak_mb()}))
"""

THINGSVISION = """
import json, sys, tempfile, time
start = time.perf_counter()
from thingsvision import get_extractor
from thingsvision.utils.data import DataLoader, ImageDataset

name, root, _ = sys.argv[1:]
extractor = get_extractor(model_name=name, source="timm", device="cpu", pretrained=False)
module = "global_pool" if name.startswith("resnet") else "norm"
data = ImageDataset(root=root, out_path=tempfile.mkdtemp(), backend="pt",
                    transforms=extractor.get_transformations())
ready = time.perf_counter()
features = extractor.extract_features(batches=DataLoader(data, batch_size=32, backend="pt"),
                                      module_name=module, flatten_acts=True)
print(json.dumps({"start_s": ready - start, "elapsed_s": time.perf_counter() - ready,
                  "peak_mb": peak_mb(), "images": len(features)}))
"""

FEATX = """
import json, os, sys, time
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
start = time.perf_counter()
from featx import console
from featx.config import DatasetConfig, ExtractConfig
from featx.data.reader import read_manifest
from featx.extraction import Extractor, run_extractors

console.set_verbosity(-1)
name, manifest, root, cache, engine, precision, decode = sys.argv[1:]
config = ExtractConfig(backbone=["timm:" + name], pretrained=False, cache=cache, device="cpu",
                       engine=engine, precision=precision, decode=decode)
rows = read_manifest(DatasetConfig(dataset=manifest, root=root))
extractors = [Extractor.from_request(r, config, rows.paths) for r in config.requests()]
extractors[0].start()
ready = time.perf_counter()
[found] = run_extractors(rows, extractors, config)
end = time.perf_counter()
peak = peak_mb()
[second] = run_extractors(rows, extractors, config)
assert found.ok.all() and second.report.computed == 0
print(json.dumps({"start_s": ready - start, "elapsed_s": end - ready, "peak_mb": peak,
                  "rerun_s": time.perf_counter() - end, "report": found.report.document(),
                  "torch": "torch" in sys.modules}))
"""

FORWARD = """
import json, os, sys, time
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from featx import console
from featx.backbones import open_backbone
from featx.engines import build_engine
from featx.machine import cpu_cores
from featx.types import BackboneRequest

console.set_verbosity(-1)
name, engine, precision, seconds = sys.argv[1:]
backbone = open_backbone(BackboneRequest("timm:" + name, pretrained=False))
engine = build_engine(engine, backbone, device="cpu", precision=precision)
batch = np.random.default_rng(0).integers(
    0, 256, (engine.batch_size, *backbone.preprocess.size_px, 3), np.uint8)

def work(seconds):
    stop, rows = time.perf_counter() + seconds, 0
    while time.perf_counter() < stop:
        rows += len(engine.embed(batch)[0])
    return rows

with ThreadPoolExecutor(cpu_cores()) as pool:
    list(pool.map(work, [float(seconds) / 6] * cpu_cores()))
    start = time.perf_counter()
    rows = sum(pool.map(work, [float(seconds)] * cpu_cores()))
print(json.dumps({"images_per_s": rows / (time.perf_counter() - start)}))
"""

DECODE = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from featx.backbones import open_backbone
from featx.data.hashing import content_hash, read_bytes
from featx.data.pixels import read_pixels
from featx.machine import cpu_cores
from featx.types import BackboneRequest
from featx import console

console.set_verbosity(-1)
name, listing, decode = sys.argv[1:]
preprocess = open_backbone(
    BackboneRequest("timm:" + name, pretrained=False, decode=decode)).preprocess
paths = open(listing).read().split("\\n")

def read(path):
    data = read_bytes(path)
    content_hash(data)
    return read_pixels(data, preprocess)

with ThreadPoolExecutor(cpu_cores()) as pool:
    list(pool.map(read, paths[:16]))
    start = time.perf_counter()
    rows = sum(1 for _ in pool.map(read, paths))
print(json.dumps({"images_per_s": rows / (time.perf_counter() - start)}))
"""


def images_of(folder: Path | None, limit: int, scratch: Path) -> tuple[Path, list[str]]:
    """``limit`` images spread over those below ``folder``; made ones where it is None."""
    if folder is None:
        folder = scratch / "images"
        make_photographs(folder, limit)
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not found:
        raise SystemExit(f"no images below {folder}")
    return folder, [str(p) for p in found[:: max(1, len(found) // limit)][:limit]]


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


def enlarge(paths: list[str], folder: Path, count: int) -> list[str]:
    """The first images as photographs of 6 megapixels, with the grain a sensor adds."""
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    made = []
    for i, path in enumerate(paths[:count]):
        image = Image.open(path).convert("RGB").resize((3000, 2000), Image.Resampling.BICUBIC)
        grain = rng.integers(-6, 7, (2000, 3000, 3), np.int16)
        pixels = (np.asarray(image, np.int16) + grain).clip(0, 255).astype(np.uint8)
        made.append(str(folder / f"{i:03}.jpg"))
        Image.fromarray(pixels).save(made[-1], quality=92)
    return made


def measure(code: str, *arguments: str) -> dict:
    """Run one side in a process of its own and read what it prints."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PEAK + code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise SystemExit(result.stderr)
    return json.loads(result.stdout.splitlines()[-1])


class Bench:
    """All sides for one backbone on one set of images."""

    def __init__(
        self,
        backbone: str,
        paths: list[str],
        root: Path,
        scratch: Path,
        numerics: list[tuple[str, str]] | None = None,
    ) -> None:
        self.backbone = backbone
        self.n = len(paths)
        self.root = root
        self.scratch = scratch
        self.listing = scratch / f"{backbone}.txt"
        self.listing.write_text("\n".join(paths))
        self.manifest = scratch / f"{backbone}.csv"
        relative = "\n".join(os.path.relpath(path, root) for path in paths)
        self.manifest.write_text(f"path\n{relative}\n")
        self.turn = 0
        self.numerics = runnable() if numerics is None else numerics

    def plain(self, code: str, precision: str) -> dict:
        """One of the plain loops."""
        return measure(code, self.backbone, str(self.listing), precision)

    def featx(self, engine: str, precision: str, decode: str = "reference") -> dict:
        """The product, with an empty cache."""
        self.turn += 1
        cache = str(self.scratch / f"{self.backbone}-{self.turn}")
        return measure(
            FEATX, self.backbone, str(self.manifest), str(self.root), cache, engine, precision,
            decode,
        )  # fmt: skip

    def sides(self) -> dict[str, object]:
        """Every side by name, as a call that gives its figures."""
        sides: dict[str, object] = {
            "timm loop, fp32": lambda: self.plain(PLAIN, "fp32"),
            "timm loop, bf16 autocast": lambda: self.plain(PLAIN, "bf16"),
        }
        if self.backbone == "resnet50":
            sides["torchvision feature extraction, fp32"] = lambda: self.plain(TORCHVISION, "fp32")
        if importlib.util.find_spec("thingsvision"):
            sides["thingsvision, fp32"] = lambda: measure(
                THINGSVISION, self.backbone, str(self.root), ""
            )
        for engine, precision in self.numerics:
            sides[f"featx {engine} {precision}"] = partial(self.featx, engine, precision)
        return sides

    def run(self, rounds: int) -> dict:
        """Every side ``rounds`` times, in turn, then the limits."""
        sides = self.sides()
        for engine, precision in self.numerics:  # convert and check once, unmeasured
            self.featx(engine, precision)
        rows: dict[str, list[dict]] = {name: [] for name in sides}
        limits: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, side in sides.items():
                rows[name].append(side())
            decode = measure(DECODE, self.backbone, str(self.listing), "reference")
            limits.setdefault("decode", []).append(decode["images_per_s"])
            for engine, precision in self.numerics:
                found = measure(FORWARD, self.backbone, engine, precision, str(FORWARD_S))
                rate = found["images_per_s"]
                limits.setdefault(f"forward {engine} {precision}", []).append(rate)
        return self.summary(rows, limits)

    def summary(self, rows: dict[str, list[dict]], limits: dict[str, list[float]]) -> dict:
        """Medians, and ratios round by round."""
        plain = {p: rows[f"timm loop, {p}"] for p in ("fp32", "bf16 autocast")}
        limit = {name: statistics.median(values) for name, values in limits.items()}
        table = {}
        for name, runs in rows.items():
            rate = self.n / statistics.median(run["elapsed_s"] for run in runs)
            row = {
                "images_per_s": round(rate, 1),
                "start_s": round(statistics.median(run["start_s"] for run in runs), 2),
                "peak_mb": round(statistics.median(run["peak_mb"] for run in runs)),
            }
            for precision, reference in plain.items():
                ratios = [
                    a["elapsed_s"] / b["elapsed_s"] for a, b in zip(reference, runs, strict=True)
                ]
                row[f"times timm {precision.split()[0]}"] = [
                    round(f(ratios), 2) for f in (min, statistics.median, max)
                ]
            if name.startswith("featx"):
                forward = limit[f"forward {name.removeprefix('featx ')}"]
                ceiling = 1 / (1 / limit["decode"] + 1 / forward)
                row["of_forward_only"] = round(rate / forward, 2)
                row["of_H"] = round(rate / ceiling, 2)
                reruns = [run["elapsed_s"] / run["rerun_s"] for run in runs]
                row["cached_rerun_times"] = round(statistics.median(reruns), 1)
                row["torch_imported"] = runs[-1]["torch"]
                row["report"] = runs[-1]["report"]
            table[name] = row
        return {
            "images": self.n,
            "sides": table,
            "limits_images_per_s": {name: round(value, 1) for name, value in limit.items()},
        }


def large_photographs(paths: list[str], scratch: Path, rounds: int) -> dict:
    """Reference against scaled decoding on photographs of 6 megapixels."""
    folder = scratch / "large"
    listing = scratch / "large.txt"
    listing.write_text("\n".join(enlarge(paths, folder, LARGE)))
    rates: dict[str, list[float]] = {"reference": [], "scaled": []}
    for _ in range(rounds):
        for decode, values in rates.items():
            values.append(measure(DECODE, "resnet50", str(listing), decode)["images_per_s"])
    ratios = [b / a for a, b in zip(rates["reference"], rates["scaled"], strict=True)]
    return {
        "images_per_s": {k: round(statistics.median(v), 1) for k, v in rates.items()},
        "times_reference": [round(f(ratios), 2) for f in (min, statistics.median, max)],
    }


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path)
    parser.add_argument("--backbone", action="append", help="a timm architecture; may be repeated")
    parser.add_argument("--limit", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=3)
    options = asked(parser)
    if options.quick:
        options.backbone = options.backbone or ["test_resnet"]
        options.limit, options.rounds = min(options.limit, 8), 1
        globals().update(FORWARD_S=0.1, LARGE=2)
    backbones = options.backbone or ["resnet50", "vit_small_patch16_224"]
    numerics = runnable()
    document = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(
            "featx", "torch", "torchvision", "timm", "openvino", "pillow", "numpy"
        ),
        "rounds": options.rounds,
        "backbones": {},
    }
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        os.environ.setdefault("FEATX_NETWORKS", str(scratch / "networks"))
        root, paths = images_of(options.images, options.limit, scratch)
        for backbone in backbones:
            found = Bench(backbone, paths, root, scratch, numerics).run(options.rounds)
            document["backbones"][backbone] = found
            print(f"\n{table(backbone, found)}", flush=True)
        document["photographs_of_6_megapixels"] = large_photographs(paths, scratch, options.rounds)
        print("\n6 megapixels, decoding only:", document["photographs_of_6_megapixels"])
    keep(RESULTS, document, quick=options.quick)


def table(backbone: str, document: dict) -> str:
    """One backbone's figures as a Markdown table."""
    lines = [
        f"| {backbone}, {document['images']} images | images/s | times timm fp32 | times timm bf16 "
        "| of H | of forward | start, s | peak, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in document["sides"].items():
        ratios = [spread(row[f"times timm {p}"]) for p in ("fp32", "bf16")]
        limits = [f"{row[k]:.2f}" if k in row else "" for k in ("of_H", "of_forward_only")]
        cells = [f"{row['images_per_s']}", *ratios, *limits, f"{row['start_s']}", row["peak_mb"]]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    for name, rate in document["limits_images_per_s"].items():
        lines.append(f"| *limit: {name}* | {rate} | | | | | | |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Median, and from where to where."""
    least, median, most = values
    return f"{median} ({least} to {most})"


if __name__ == "__main__":
    main()

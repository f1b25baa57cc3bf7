"""What featx does on a GPU, measured within a few minutes on a machine without a network.

    python benchmarks/gpu.py [--minutes 8] [--images pack.tar] [--results FILE]
    python benchmarks/gpu.py pack FOLDER pack.tar

Steps run in order of worth (gpu_steps.py); the results are written after each, so that being cut
off loses nothing, and a second call does what the first left out. What no longer fits into the time
is named. `--device cpu` tries the script with tiny sizes where there is no GPU, and writes nothing
unless --results is given. docs/performance.md says what such a machine needs.
Writes benchmarks/results/gpu.json.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # featx need not be installed

from gpu_images import lay_out, pack  # noqa: E402
from gpu_runner import Place  # noqa: E402
from gpu_steps import STEPS, run_steps  # noqa: E402
from measuring import left_out, machine, versions  # noqa: E402

RESULTS = HERE / "results" / "gpu.json"
N_IMAGES = {"cuda": 8192, "cpu": 12}
NEEDED_BYTES = 3 << 30  # files, caches and pins


def main() -> None:
    """Check, measure and write."""
    options = _options()
    if options.pack:
        folder, target = options.pack
        n = pack(folder, target)
        print(f"{target}: {n} photographs, {target.stat().st_size / 2**20:.1f} MiB")
        return
    started = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="featx-gpu-", dir=options.scratch))
    try:
        lacks = missing(options.device, scratch, options.images)
        if lacks:
            raise SystemExit("\n".join(["Missing:", *(f"- {what}" for what in lacks)]))
        _measure(options, scratch, started + 60 * options.minutes)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="all steps together")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--images", type=Path, help="a tar made by pack, or a folder of JPEG files")
    parser.add_argument("--limit", type=int, help="how many files")
    parser.add_argument("--step", action="append", choices=[step.name for step in STEPS])
    parser.add_argument("--again", action="store_true", help="do not go on from earlier results")
    parser.add_argument("--scratch", type=Path, help="a folder to work in [the system's]")
    parser.add_argument("--results", type=Path)
    parser.set_defaults(pack=None)
    if sys.argv[1:2] == ["pack"]:
        packing = argparse.ArgumentParser(prog="gpu.py pack")
        packing.add_argument("folder", type=Path)
        packing.add_argument("target", type=Path)
        given = packing.parse_args(sys.argv[2:])
        return argparse.Namespace(pack=(given.folder, given.target))
    return parser.parse_args()


def missing(device: str, scratch: Path, images: Path | None) -> list[str]:
    """What is not here and must be; what could be is named and left out."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    lacks = []
    for line in project["dependencies"]:
        name = re.split(r"[<>=!;\[ ]", line)[0]
        if name != "openvino" and not versions(name):  # that one runs on CPUs only
            lacks.append(f"the package {name}: pip install '{line}' (see docs/performance.md)")
    if images is not None and not images.exists():
        lacks.append(f"the images {images}: python benchmarks/gpu.py pack FOLDER {images}")
    free = shutil.disk_usage(scratch).free
    if device == "cuda" and free < NEEDED_BYTES:
        need, here = NEEDED_BYTES / 2**30, free / 2**30
        lacks.append(
            f"disk: {here:.1f} GiB free in {scratch.parent}, {need:.0f} needed (--scratch)"
        )
    if device == "cuda" and importlib.util.find_spec("torch"):
        import torch

        if not torch.cuda.is_available():
            lacks.append(
                f"CUDA: torch {torch.__version__} finds no GPU (a driver, and torch's wheel for "
                "CUDA); --device cpu tries the script without one"
            )
    if not all(importlib.util.find_spec(name) for name in ("pytest", "hypothesis")):
        left_out("tests", "pytest and hypothesis are not installed")
    return lacks


def gpu() -> dict[str, Any]:
    """The GPU's name and memory, and its driver."""
    import torch

    if not torch.cuda.is_available():
        return {}
    properties = torch.cuda.get_device_properties(0)
    found: dict[str, Any] = {
        "gpu": properties.name,
        "gpus": torch.cuda.device_count(),
        "gpu_memory_gb": round(properties.total_memory / 1e9, 1),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20)
        found["driver"] = told.stdout.split("\n")[0]
    except (OSError, subprocess.SubprocessError):
        found["driver"] = "unknown"
    return found


def _measure(options: argparse.Namespace, scratch: Path, end: float) -> None:
    import featx

    os.environ |= {
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
        "FEATX_NETWORKS": str(scratch / "networks"),
        "HF_HUB_OFFLINE": "1",
    }
    results = options.results or (RESULTS if options.device == "cuda" else scratch / "gpu.json")
    count = options.limit or N_IMAGES[options.device]
    manifest, told = lay_out(options.images, scratch / "data", count)
    document: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": machine() | gpu(),
        "versions": versions("torch", "torchvision", "timm", "pillow", "numpy", "scikit-learn")
        | {"featx": featx.__version__},
        "images": told,
        "steps": {},
    }
    if not options.again:
        document["steps"] = earlier(results, document)
    place = Place(
        device=options.device,
        images=manifest,
        n_images=count,
        scratch=scratch,
        workers=featx_cores() if options.device == "cuda" else 2,
        seconds=2.0 if options.device == "cuda" else 0.05,
    )
    run_steps(place, document["steps"], end, lambda: write(results, document), options.step)
    print(table(document))


def featx_cores() -> int:
    """Cores that a run uses."""
    from featx.machine import cpu_cores

    return cpu_cores()


def earlier(results: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Steps of an earlier call on this machine, with these versions and images."""
    try:
        before = json.loads(results.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    same = all(before.get(key) == document[key] for key in ("machine", "versions", "images"))
    steps: dict[str, Any] = before.get("steps", {}) if same else {}
    return steps


def write(path: Path, document: dict[str, Any]) -> None:
    """The whole file or the one before, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    new.replace(path)


def table(document: dict[str, Any]) -> str:
    """Extraction as Markdown."""
    lines = [
        "| network | precision | forward only, images/s | pipeline, images/s | of forward only "
        "| times the plain loop | least cosine to fp32 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, step in document["steps"].items():
        if not name.startswith("extraction: "):
            continue
        times = step.get("times the plain loop", {})
        for precision in ("fp32", "bf16", "fp16"):
            row = step.get("featx", {}).get(precision, {})
            if "per_s" not in row:
                continue
            cosine = step["featx"].get(f"cosine of {precision} to fp32", {}).get("least", "")
            cells = [row["forward_only_per_s"], row["per_s"], row["of_forward_only"]]
            cells += [times.get(precision, ""), cosine]
            network = name.removeprefix("extraction: ")
            lines.append(f"| {network} | {precision} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

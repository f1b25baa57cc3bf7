"""Peak memory of an extraction, on a part of a data set and on all of it.

    python benchmarks/memory.py --images DIR [--backbone resnet50]

The product with its default engine on x86 processors, from a kept network, with an empty cache, in
a process of its own. Writes benchmarks/results/memory.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import tempfile
from pathlib import Path

from extract import Bench, images_of
from measuring import machine

RESULTS = Path(__file__).parent / "results" / "memory.json"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--backbone", default="resnet50", help="a timm architecture")
    parser.add_argument("--precision", default="bf16", choices=("fp32", "bf16"))
    options = parser.parse_args()
    document = {"date": datetime.date.today().isoformat(), "machine": machine()}
    document |= {"backbone": options.backbone, "precision": options.precision}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        os.environ.setdefault("FEATX_NETWORKS", str(scratch / "networks"))
        root, paths = images_of(options.images, 10**9, scratch)
        side = ("openvino", options.precision)
        Bench(options.backbone, paths[:16], root, scratch).featx(*side)  # converts the network
        found = {}
        for n in (600, len(paths)):
            row = Bench(options.backbone, paths[:n], root, scratch).featx(*side)
            found[n] = {"peak_mb": row["peak_mb"], "torch_imported": row["torch"]}
            print(f"{n} images: {found[n]}", flush=True)
    document["images"] = found
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()

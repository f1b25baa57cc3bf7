"""Peak memory of an extraction, on a part of a data set and on all of it.

    python benchmarks/memory.py --images DIR [--backbone resnet50]

The product with its default engine on x86 processors, from a kept network, with an empty cache, in
a process of its own. Writes benchmarks/results/memory.json.
"""

from __future__ import annotations

import argparse
import datetime
import os
import tempfile
from pathlib import Path

from extract import Bench, images_of
from measuring import asked, keep, machine, runnable

RESULTS = Path(__file__).parent / "results" / "memory.json"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path)
    parser.add_argument("--backbone", default="resnet50", help="a timm architecture")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), help="[bf16 where the processor has it]"
    )
    options = asked(parser, needs=["images"])
    if options.quick:
        options.backbone = "test_resnet"
    wanted = [options.precision] if options.precision else ["bf16", "fp32"]
    numerics = runnable(precisions=wanted)
    if not numerics:
        return
    side = next((n for n in numerics if n[0] == "openvino"), numerics[0])
    document = {"date": datetime.date.today().isoformat(), "machine": machine()}
    document |= {"backbone": options.backbone, "engine": side[0], "precision": side[1]}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        os.environ.setdefault("FEATX_NETWORKS", str(scratch / "networks"))
        root, paths = images_of(options.images, 10**9, scratch)
        Bench(options.backbone, paths[:16], root, scratch, [side]).featx(
            *side
        )  # converts the network
        found = {}
        for n in sorted({min(600, len(paths)), len(paths)}):
            row = Bench(options.backbone, paths[:n], root, scratch, [side]).featx(*side)
            found[n] = {"peak_mb": row["peak_mb"], "torch_imported": row["torch"]}
            print(f"{n} images: {found[n]}", flush=True)
    document["images"] = found
    keep(RESULTS, document, quick=options.quick)


if __name__ == "__main__":
    main()

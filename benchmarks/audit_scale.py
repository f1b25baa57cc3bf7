"""What an audit takes once embeddings are there: seconds of each check, and memory.

    python benchmarks/audit_scale.py [--images 10000 --images 100000] [--features 512]

Made embeddings in 20 overlapping classes that vary along 64 directions, one image in a hundred an
altered copy of another, and made pictures of 64 × 64 pixels; everything but decoding and embedding
runs as in ``featx audit``. Each size in a process of its own. Writes
benchmarks/results/audit_scale.json, size by size.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from measuring import asked, keep, machine, measured

RESULTS = Path(__file__).parent / "results" / "audit_scale.json"
N_CLASSES, DIRECTIONS, COPY_EVERY = 20, 64, 100
STEPS = {
    "neighbours_s": "neighbours",
    "copies_s": "copies",
    "labels_s": "labels and outliers",
    "classes_s": "classes",
    "shortcuts_s": "shortcuts",
}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, action="append")
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = asked(parser)
    if options.quick and not options.images:
        options.images, options.features = [400], 32
    sizes = options.images or [10_000, 100_000]
    if options.child:
        print(json.dumps(audit(sizes[0], options.features)))
        return
    document: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "features": options.features,
        "images": {},
    }
    for n in sizes:
        command = [sys.executable, __file__, "--child", "--images", str(n)]
        command += ["--features", str(options.features)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        document["images"][str(n)] = json.loads(done.stdout.splitlines()[-1])
        keep(RESULTS, document, quick=options.quick)
    print(table(document))


def audit(n: int, n_features: int) -> dict[str, Any]:
    """One audit of ``n`` made images."""
    from featx.auditing.audit import audit_images

    data = made(n, n_features)
    found, cost = measured(lambda: audit_images(data, n_folds=5, seed=0))
    altered = n // COPY_EVERY
    return {
        **{name: found.times[name] for name in STEPS},
        "all_s": round(cost["elapsed_s"], 1),
        "memory_mb": round(cost["memory_mb"]),
        "copies_made": altered,
        "copies_found": len(found.copies),
    }


def made(n: int, n_features: int) -> Any:
    """Images that were never files."""
    from featx.auditing.data import AuditData
    from featx.auditing.looking import Look

    rng = np.random.default_rng(0)
    y = rng.integers(0, N_CLASSES, n)
    codes = rng.normal(size=(N_CLASSES, DIRECTIONS))[y] + 1.5 * rng.normal(size=(n, DIRECTIONS))
    X = codes @ rng.normal(size=(DIRECTIONS, n_features)) + rng.normal(size=(n, n_features))
    coarse = rng.integers(0, 256, (n, 8, 8), np.uint8)
    grey = coarse.repeat(8, axis=1).repeat(8, axis=2)
    copies = np.arange(0, n - 1, COPY_EVERY)[: n // COPY_EVERY]
    X[copies + 1] = X[copies] + 0.3 * rng.normal(size=(len(copies), n_features))
    noise = rng.integers(-2, 3, (len(copies), 64, 64))
    grey[copies + 1] = np.clip(grey[copies] + noise, 0, 255).astype(np.uint8)
    hashes = rng.integers(0, 256, (n, 32), np.uint8)
    numbers = rng.normal(size=(n, 6))
    looks = [
        Look(
            picture,
            {"size": dict(zip("abc", row[:3].tolist(), strict=True)),
             "colour": dict(zip("def", row[3:].tolist(), strict=True))},
        )
        for picture, row in zip(grey, numbers, strict=True)
    ]  # fmt: skip
    nothing: list[str | None] = [None] * n
    return AuditData(
        [str(i) for i in range(n)],
        X.astype(np.float32),
        hashes,
        [f"class {c}" for c in y],
        nothing,
        nothing,
        looks,
    )


def table(document: dict[str, Any]) -> str:
    """The document as Markdown."""
    lines = [
        f"| images | {' | '.join(f'{name}, s' for name in STEPS.values())} | all, s | memory, MB |",
        "|---" * (len(STEPS) + 3) + "|",
    ]
    for n, row in document["images"].items():
        cells = [f"{row[name]:,.1f}" for name in (*STEPS, "all_s")]
        lines.append(f"| {int(n):,} | {' | '.join(cells)} | {row['memory_mb']:,} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""What a person waits for between two batches of `featx label`: refit, scores, choice.

    python benchmarks/labelling_speed.py

Made embeddings of 1,280 features in ten classes, in memory; 200 and 1,000 of them labelled. The
last label of a batch is given before the clock starts, so that the head is fitted anew. ``batch_s``
is that; ``progress_s`` the estimate and the curve, which the page computes in the background.
Runtime: a minute. Writes benchmarks/results/labelling_speed.json.
"""

from __future__ import annotations

import argparse
import datetime
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import asked, keep, load_average, machine

from featx.labelling import LabellingSession, LabelLog

RESULTS = Path(__file__).parent / "results" / "labelling_speed.json"
FEATURES, CLASSES = 1280, 10


def session_of(n: int) -> tuple[LabellingSession, np.ndarray]:
    """A session on made embeddings, and the classes of its images."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, n)
    centres = rng.standard_normal((CLASSES, FEATURES), dtype=np.float32)
    X = 4 * rng.standard_normal((n, FEATURES), dtype=np.float32) + centres[y]
    ids = [str(i) for i in range(n)]
    return LabellingSession("images", ids, [f"/images/{i}" for i in ids], X, LabelLog()), y


def timed(what: Any) -> float:
    """Seconds by the clock."""
    started = time.perf_counter()
    what()
    return round(time.perf_counter() - started, 2)


def measure(n: int, labels: tuple[int, ...]) -> list[dict[str, Any]]:
    """Rows of one size of folder."""
    session, y = session_of(n)
    rows = []
    for wanted in labels:
        while session.progress(judged=False).n_labelled < wanted:
            for image in session.next_batch(100):
                session.label([image.id], f"class {y[int(image.id)]}")
        batch, progress = timed(session.next_batch), timed(session.progress)
        rows.append({"images": n, "labels": wanted, "batch_s": batch, "progress_s": progress})
        print(rows[-1], flush=True)
    return rows


def table(document: dict[str, Any]) -> str:
    """The rows as Markdown."""
    lines = ["| images | labels | next batch, s | estimate and curve, s |", "|---:|---:|---:|---:|"]
    for row in document["rows"]:
        shown = f"{row['images']:,} | {row['labels']:,} | {row['batch_s']} | {row['progress_s']}"
        lines.append(f"| {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, write and print."""
    options = asked(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    sizes, labels = ((300,), (100,)) if options.quick else ((10_000, 100_000), (200, 1000))
    document: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "load_average": round(load_average(), 1),
        "rows": [row for n in sizes for row in measure(n, labels)],
    }
    keep(RESULTS, document, quick=options.quick)
    print(table(document))


if __name__ == "__main__":
    main()

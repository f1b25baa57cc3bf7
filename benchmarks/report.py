"""What a report costs: processor time, size, and how long a browser takes to open it.

    python benchmarks/report.py --data FOLDER [--chromium FILE]

FOLDER holds clothing/. One run is of clothing as it is, one of 10,000 images cropped and flipped
out of it, both on the embedded backbone with logistic regression; each fit runs in a process of its
own, and what its page adds is timed inside. Pages are opened in headless Chromium, 5 times each:
from the start of loading to the load event, and to the first paint. Writes
benchmarks/results/report.json and prints a Markdown table.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import asked, keep, left_out
from PIL import Image, ImageOps

RESULTS = Path(__file__).parent / "results" / "report.json"
N_IMAGES = 10_000
OPENINGS = 5
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
MOMENTS = """() => {
  const load = performance.getEntriesByType('navigation')[0].loadEventEnd;
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  return [load, paint ? paint.startTime : null];
}"""


def multiply(source: Path, target: Path) -> None:
    """10,000 images: those of clothing, then crops of them, every other one mirrored."""
    rng = np.random.default_rng(0)
    files = sorted(source.glob("*/*/*.jpg"))
    for k in range(N_IMAGES):
        path = files[k % len(files)]
        copy = target / path.parent.name / f"{k:05}.jpg"
        copy.parent.mkdir(parents=True, exist_ok=True)
        if k < len(files):
            shutil.copy(path, copy)
            continue
        with Image.open(path) as image:
            share = rng.uniform(0.75, 0.95)
            width, height = (round(side * share) for side in image.size)
            left = rng.integers(image.width - width + 1)
            top = rng.integers(image.height - height + 1)
            cropped = image.convert("RGB").crop((left, top, left + width, top + height))
            (ImageOps.mirror(cropped) if k % 2 else cropped).save(copy, quality=90)


def fit_and_time(dataset: str, folder: str) -> None:
    """In a process of its own: a fit, and what its page takes of it."""
    import time

    import featx
    from featx.api import fit as fitting

    add, spent = fitting.add_report, {}

    def timed(*given: object, **options: object) -> None:
        cpu, clock = time.process_time(), time.perf_counter()
        add(*given, **options)
        spent["page_cpu_s"] = round(time.process_time() - cpu, 2)
        spent["page_s"] = round(time.perf_counter() - clock, 2)

    fitting.add_report = timed
    cpu = time.process_time()
    run = featx.fit(dataset, head=["logreg"], estimate="auto", report=True, runs=folder,
                    cache=f"{folder}/cache", name="run", overwrite=True)  # fmt: skip
    spent["whole_cpu_s"] = round(time.process_time() - cpu, 2)
    print(json.dumps({**spent, "images": run.results["dataset"]["images"]}))


def fitted(dataset: Path, folder: Path) -> dict:
    """The figures of such a process, embeddings being in the cache already."""
    command = [sys.executable, __file__, "--fit", str(dataset), "--scratch", str(folder)]
    for _ in range(2):  # the first fills the cache
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def opened(page: Path, chromium: str) -> dict:
    """Seconds to open a page, medians of several openings in a fresh window."""
    from playwright.sync_api import sync_playwright

    moments = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        for _ in range(OPENINGS):
            window = browser.new_page(viewport={"width": 1400, "height": 900})
            window.goto(page.resolve().as_uri(), wait_until="load")
            window.wait_for_timeout(300)
            moments.append(window.evaluate(MOMENTS))
            window.close()
        browser.close()
    load, paint = zip(*moments, strict=True)
    return {
        "load_s": round(statistics.median(load) / 1000, 3),
        "first_paint_s": round(statistics.median(p for p in paint if p is not None) / 1000, 3),
    }


def browser(named: str) -> str:
    """The browser that opens pages; empty where there is none, or nothing that drives it."""
    found = shutil.which(named)
    if found is None:
        left_out("opening pages", f"there is no {named}")
    elif importlib.util.find_spec("playwright") is None:
        left_out("opening pages", "playwright is not installed")
    else:
        return found
    return ""


def opening(row: dict) -> str:
    """The seconds, where they were measured."""
    return f"{row['load_s']:.2f} s" if "load_s" in row else "not measured"


def table(results: dict) -> str:
    """Markdown."""
    lines = ["| run | images | page | processor time it adds | of the whole fit | opens in |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| {name} | {row['images']:,} | {row['page_mb']:.1f} MB | {row['page_cpu_s']:.1f} s | "
        f"{row['page_cpu_s'] / row['whole_cpu_s']:.0%} | {opening(row)} |"
        for name, row in results.items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--scratch", type=Path, help="folder for images, caches and runs")
    parser.add_argument("--chromium", default=os.environ.get("FEATX_CHROMIUM", "chromium"))
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    options = asked(parser, needs=[] if "--fit" in sys.argv else ["data"])
    if options.fit:
        fit_and_time(options.fit, str(options.scratch))
        return
    if options.quick:
        globals().update(N_IMAGES=60, OPENINGS=1)
    chromium = browser(options.chromium)
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.scratch or Path(temporary)
        larger = scratch / "larger"
        if not larger.exists():
            multiply(options.data / "clothing", larger)
        for name, dataset in (("clothing", options.data / "clothing"), ("10,000 images", larger)):
            folder = scratch / name.replace(",", "").replace(" ", "-")
            row = fitted(dataset, folder)
            page = folder / "run" / "report.html"
            row["page_mb"] = round(page.stat().st_size / 1e6, 2)
            results[name] = {**row, **(opened(page, chromium) if chromium else {})}
    keep(RESULTS, results, quick=options.quick)
    print(table(results))


if __name__ == "__main__":
    main()

"""The tables of docs/scaling.md, by the formulas given there, from measured rates.

    python benchmarks/scaling.py [--features 512] [--images-per-s 14.8] [--write]

Reads benchmarks/results/store.json, and the rate of extraction from benchmarks/results/extract.json
where none is given. Prints Markdown; --write puts it into the page.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from featx.store.shard import rows_per_shard

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "scaling.md"
START, END = "<!-- python benchmarks/scaling.py --write -->", "<!-- end -->"
SIZES = (10**6, 10**8, 10**9)
MACHINES = (1, 16, 256)
LOOKUP_BYTES, PAGE_SUM_SHARE, OPEN_BYTES = 40 * 4096 / 4080 + 12 / 102, 4 / 4096, 12 / 102
MIN_ROWS, GROWTH = 2**16, 4  # featx/store/rows.py
PIXELS_BYTES = 117  # what the hashes of pixels add to a shard's entry in the index
LOOSE_BYTES = 48  # hash, first word and number of a row that no lookup file covers


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--images-per-s", type=float)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    source = "a rate that was given"
    rate = options.images_per_s
    if rate is None:
        source, rate = extraction_rate()
    measured = json.loads((RESULTS / "store.json").read_text())
    tables = "\n\n".join(
        [
            f"Extracting: {rate:g} images/s on one machine ({source}).",
            table("store", store_rows(options.features, measured["1000000x512"])),
            table("time", time_rows(options.features, rate, measured)),
        ]
    )
    print(tables)
    if options.write:
        before, _, rest = PAGE.read_text().partition(START)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{START}\n{tables}\n{END}{after}")


def extraction_rate() -> tuple[str, float]:
    """The fastest way that was measured for ResNet-50 and gives embeddings of the reference."""
    document = json.loads((RESULTS / "extract.json").read_text())
    sides = document["backbones"]["resnet50"]["sides"]
    ours = {name: side["images_per_s"] for name, side in sides.items() if name.startswith("featx")}
    name = max(ours, key=ours.__getitem__)
    return f"`extract.json`, ResNet-50, {name}", ours[name]


def store_rows(n_features: int, measured: dict) -> dict[str, list[str]]:
    """What is on the disk and in memory."""
    row_bytes = 48 + 4 * n_features
    shards = [math.ceil(n / rows_per_shard(n_features)) for n in SIZES]
    per_shard = measured["made"]["index_json_bytes_per_shard"] + PIXELS_BYTES
    index = measured["large_index"]
    per_entry = index["memory_mb"] * 2**20 / index["shards"]
    return {
        "embeddings": [size(n * row_bytes) for n in SIZES],
        "shards": [f"{count:,}" for count in shards],
        "`index.json`": [size(count * per_shard) for count in shards],
        "`derived/`": [size(n * (LOOKUP_BYTES + row_bytes * PAGE_SUM_SHARE)) for n in SIZES],
        "lookup files": [str(math.ceil(math.log(n / MIN_ROWS, GROWTH))) for n in SIZES],
        "memory of an open store": [
            size(n * OPEN_BYTES + count * per_entry + MIN_ROWS * LOOSE_BYTES)
            for n, count in zip(SIZES, shards, strict=True)
        ],
        "all of `X` in memory": [size(n * 4 * n_features) for n in SIZES],
    }


def time_rows(n_features: int, rate: float, measured: dict) -> dict[str, list[str]]:
    """Hours."""
    adopting = measured["1000000x512"]["steps"]["adopt"]["adopt_gb_per_s"] * 1e9
    reading = measured["1000000x512"]["steps"]["gather_all"]["verifying_gb_per_s"] * 1e9
    narrow = measured["10000000x32"]
    merging = narrow["rows"] / narrow["steps"]["open_rebuilding"]["elapsed_s"]
    seconds = {
        f"extracting on {m} machine{'s' * (m > 1)}": [n / rate / m for n in SIZES] for m in MACHINES
    }
    seconds |= {
        "adopting, one committer": [n * (48 + 4 * n_features) / adopting for n in SIZES],
        "merging lookup files": [
            n * max(1, math.log(n / MIN_ROWS, GROWTH)) / merging for n in SIZES
        ],
        "making lost lookup files anew": [n / merging for n in SIZES],
        "reading all of `X`": [n * 4 * n_features / reading for n in SIZES],
    }
    return {name: [duration(s) for s in values] for name, values in seconds.items()}


def size(n_bytes: float) -> str:
    """Three digits and a decimal unit."""
    unit = min(4, max(0, int(math.log10(n_bytes) // 3)))
    return f"{n_bytes / 1000**unit:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[unit]}"


def duration(seconds: float) -> str:
    """Two digits and the unit that suits."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * length:
            return f"{float(f'{seconds / length:.2g}'):,.4g} {unit}"
    return f"{float(f'{seconds:.2g}'):g} s"


def table(name: str, rows: dict[str, list[str]]) -> str:
    """One Markdown table."""
    head = [name, *(f"10^{round(math.log10(n))} images" for n in SIZES)]
    lines = [head, ["---"] * len(head), *([label, *cells] for label, cells in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()

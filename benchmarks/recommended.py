"""The recommended backbones: what can be measured of them, written into the table that featx reads.

    python benchmarks/recommended.py [--seconds 3] [--most-parameters 100e6]

Width, input size and parameters come from the networks without weights. Images a second are those
of the forward pass alone, by the engine and precision that featx chooses on this CPU, on all cores
at once, with random weights (which cost the same as trained ones) and at the weights' own input
size; the best of --rounds, since other work on the machine can only slow one down. Rows of more
parameters than --most-parameters keep an empty cell. Writes benchmarks/results/recommended.json and
the measured cells of featx/backbones/recommended.json, and prints the table of docs/backbones.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from measuring import asked, keep, load_average, machine, versions

from featx import console
from featx.backbones import Recommendation, list_backbones, open_backbone, recommended
from featx.engines import build_engine, choose
from featx.machine import cpu_cores
from featx.types import BackboneRequest

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "recommended.json"
TABLE = ROOT / "featx" / "backbones" / "recommended.json"

CELLS = ("n_features", "size_px", "n_parameters", "images_per_s")


def main() -> None:
    """Measure every row and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each network and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most-parameters", type=float, default=100e6)
    options = asked(parser)
    console.set_verbosity(-1)
    table = json.loads(TABLE.read_text("utf-8"))
    rows = table["rows"][:2] if options.quick else table["rows"]
    if options.quick:
        options.seconds, options.rounds = 0.05, 1
    load = load_average()
    found = {}
    for row in rows:
        found[row["name"]] = measured(row["name"], options)
        row.update({key: found[row["name"]][key] for key in CELLS})
        print(row["name"], row["images_per_s"], flush=True)
    result = {
        "benchmark": "recommended",
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "load_before": round(load, 2),
        "versions": versions("torch", "timm", "torchvision", "openvino"),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "rows": found,
    }
    table["measured_on"] = said(result)
    keep(RESULT, result, quick=options.quick)
    if not options.quick:
        TABLE.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", "utf-8")
    if not options.quick:
        print(markdown(recommended()))


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Everything about one backbone that is measured."""
    [info] = [row for row in list_backbones(name) if row.name == name]
    assert info.n_parameters is not None
    found: dict[str, Any] = {
        "n_features": info.n_features,
        "size_px": list(info.size_px),
        "n_parameters": info.n_parameters,
        "images_per_s": None,
        "engine": None,
        "precision": None,
    }
    if info.n_parameters <= options.most_parameters:
        found.update(rate(name, options))
    return found


def rate(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Images a second of the best round, and what ran them."""
    backbone = open_backbone(BackboneRequest(name, pretrained=False))
    precision = backbone.precision
    choice = choose("auto", "cpu", precision)
    engine = build_engine(choice.engine, backbone, device="cpu", precision=choice.precision)
    shape = (engine.batch_size, *backbone.preprocess.size_px, 3)
    batch = np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    def work(seconds: float) -> int:
        stop, rows = time.perf_counter() + seconds, 0
        while time.perf_counter() < stop:
            rows += len(engine.embed(batch)[0])
        return rows

    cores, best = cpu_cores(), 0.0
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(work, [0.0] * cores))
        for _ in range(options.rounds):
            start = time.perf_counter()
            rows = sum(pool.map(work, [options.seconds] * cores))
            best = max(best, rows / (time.perf_counter() - start))
    return {
        "images_per_s": float(f"{best:.3g}"),
        "engine": choice.engine,
        "precision": choice.precision,
    }


def said(result: dict[str, Any]) -> str:
    """What the images a second were measured on."""
    machine = result["machine"]
    ran = {f"{r['engine']} {r['precision']}" for r in result["rows"].values() if r["engine"]}
    return (
        f"{machine['cores']} cores of {machine['processor']}, {' and '.join(sorted(ran))}, the "
        f"forward pass alone (load before: {result['load_before']:g})"
    )


def markdown(rows: list[Recommendation]) -> str:
    """The table of docs/backbones.md."""
    head = (
        "| purpose | backbone | input px | width | parameters | images/s | licence | published |\n"
        "|---|---|---|---:|---:|---:|---|---|"
    )
    return "\n".join([head, *map(_line, rows)])


def _line(row: Recommendation) -> str:
    published = row.published
    cells = (
        row.purpose,
        f"`{row.name}`",
        "×".join(map(str, row.size_px)),
        str(row.n_features),
        f"{row.n_parameters / 1e6:.1f} M",
        "" if row.images_per_s is None else f"{row.images_per_s:.3g}",
        row.license,
        ""
        if published is None
        else f"[{published.percent:.1f} % {published.metric}]({published.url})",
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()

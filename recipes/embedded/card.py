"""Install the weights of a finished run in the package, with a card made from its files.

    python recipes/embedded/card.py --run DIR --hardware TEXT [--interruptions TEXT]

Reads ``summary.json``, ``log.jsonl``, ``table.json`` and the weights of the run, and the speeds of
``benchmarks/results/embedded.json``.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from evaluate import table

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "featx" / "backbones" / "weights"
SPEEDS = ROOT / "benchmarks" / "results" / "embedded.json"

CARD = """\
# featx:mini-v1

A small image backbone that comes with the package, for machines that reach no model hub. It turns
an image into {n_features} numbers; a linear head on them is the intended use. Where you can
download, a larger network (`timm:vit_small_patch14_dinov2.lvd142m`, `timm:convnext_tiny.in12k`)
is the stronger choice.

| | |
|---|---|
| architecture | timm `{timm_name}` with {kwargs}, its max-pool removed |
| parameters | {n_parameters:,} |
| weights | `mini-v1.safetensors`, fp16, {size_mb:.1f} MB, SHA-256 `{sha256}` |
| embedding | {layers}, averaged over the image, at {sizes}, concatenated: {n_features} |
| input | RGB, {resize} to {size_px} px ({interpolation}), ImageNet mean and deviation |

`mini-v1.json` holds the same for programs.

## Figures

Linear probe of frozen features (StandardScaler, LogisticRegression, C chosen inside the training
part). Clothing: accuracy on its test split (10 classes of photographs). Plankton (121 classes of
small grey images) and bccd (white blood cells, 5 classes, one of 3 images, folds by slide image):
balanced accuracy over five folds; each of bccd's three images of the rarest class moves it by
0.067, so its rows are equal as far as this can tell. The table is that of `pretrain.py
--evaluate`, which keeps finished rows; here each row was computed in a process of its own by the
same functions. The input settings were chosen on clothing's training and validation splits and on
plankton, so the plankton figure is slightly optimistic; clothing's test split chose nothing.

{table}

Tiny ImageNet, 200 classes, {val_images:,} validation images at 64 px: {val_accuracy:.1%} top-1 by
the classifier that training used and the package leaves out (weights rounded to fp16).

Embedding speed, batch of {batch}, {threads} threads, the networks in turn, random weights (which
cost the same), the best of each network's turns{load}:

{speeds}

## How it was trained

- **Data**: {train_images:,} training images of Tiny ImageNet (64 px, 200 classes cut from
  ImageNet-1k), each seen {epochs:g} times.
- **Teacher**: SqueezeNet 1.0 trained on ImageNet-1k. Beside the class, the network learnt to
  predict the teacher's 512 pooled features of the part of the image that it was shown. So it holds
  knowledge of all of ImageNet-1k (1,000 classes), at second hand.
- **Recipe**: `recipes/embedded`; seed {seed}. The command:

      {command}

- **Run**: {steps:,} steps, {images_seen:,} images seen, {hours:.2f} hours of training on
  {hardware}, which other work shared; at the median {rate:,.0f} images/s. torch {torch},
  finished {finished}. Run again on other hardware or another torch, the weights differ in
  rounding.{interruptions}

## Limits

- Trained on photographs of 64 px: fine texture and small details are beyond it. On grey or
  microscopic images it is a start, not a specialist: see the table.
- It carries the biases of ImageNet. It was not tested for, and is not meant for, decisions about
  people.
- It is far behind current networks of the sizes that a hub offers.

## Licence

The weights are distributed under the licence of this package. The training images are from
ImageNet, whose terms allow non-commercial research; whether they reach through to weights is not
settled law: decide for your use. The teacher's weights are under the BSD licence (Deep Compression
release). No image and no weight of either is part of the package.
"""


def speeds(measured: dict[str, Any]) -> str:
    """Return the benchmark's result as a Markdown table."""
    precisions = measured["precisions"]
    lines = ["| network | input | " + " | ".join(f"{p}, images/s" for p in precisions) + " |"]
    lines.append("|---|---:|" + "---:|" * len(precisions))
    first = next(iter(precisions.values()))
    for name, row in first.items():
        rates = " | ".join(f"{rows[name]['images_per_s']:,.0f}" for rows in precisions.values())
        lines.append(f"| {name} | {row['size_px']} px | {rates} |")
    return "\n".join(lines)


def fields(run: Path, hardware: str) -> dict[str, Any]:
    """Return what the card's gaps are filled with."""
    summary, rows, spec = (
        json.loads((run / name).read_text(encoding="utf-8"))
        for name in ("summary.json", "table.json", "mini-v1.json")
    )
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    rates = sorted(row["images_per_s"] for row in log)
    measured = json.loads(SPEEDS.read_text(encoding="utf-8"))
    architecture, preprocess = spec["architecture"], spec["preprocess"]
    kwargs = ", ".join(f"{k}={v!r}" for k, v in architecture["timm_kwargs"].items())
    return {
        **summary,
        "n_features": spec["n_features"],
        "n_parameters": spec["n_parameters"],
        "timm_name": architecture["timm_name"],
        "kwargs": f"`{kwargs}`",
        "size_mb": spec["weights"]["size_bytes"] / 1e6,
        "sha256": spec["weights"]["sha256"],
        "layers": ", ".join(f"`{layer}`" for layer in spec["layers"]),
        "sizes": " and ".join(f"{size} px" for size in spec["sizes_px"]),
        "resize": {"squash": "both sides scaled", "shortest": "short side scaled, centre cut"}[
            preprocess["resize"]
        ],
        "size_px": preprocess["size_px"][0],
        "interpolation": preprocess["interpolation"],
        "table": table(rows),
        "val_images": summary["tiny_imagenet_val_images"],
        "val_accuracy": summary["tiny_imagenet_val_accuracy"],
        "batch": measured["batch"],
        "threads": measured["threads"],
        "load": f" (load average before: {measured['load_before']})",
        "speeds": speeds(measured),
        "hours": summary["training_s"] / 3600,
        "rate": rates[len(rates) // 2],
        "hardware": hardware,
    }


def main() -> None:
    """Copy the weights and their specification into the package and write the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--hardware", required=True, help="what trained it, in words")
    parser.add_argument("--interruptions", default="", help="how the run was cut and continued")
    args = parser.parse_args()
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in ("mini-v1.safetensors", "mini-v1.json"):
        shutil.copyfile(args.run / name, TARGET / name)
    interruptions = f" {args.interruptions}" if args.interruptions else ""
    values = fields(args.run, args.hardware) | {"interruptions": interruptions}
    (TARGET / "mini-v1.md").write_text(CARD.format(**values), encoding="utf-8")


if __name__ == "__main__":
    main()

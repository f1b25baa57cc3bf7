"""The table of the model card: what a linear probe makes of frozen features.

``pretrain.py --evaluate IMAGES``, with the other options of its run, calls this. Rows: raw pixels
at 16x16, the same network untrained, the embedded backbone, ImageNet SqueezeNet 1.0. Columns: test
accuracy on ``clothing``, whose test split is read here and nowhere else, and cross-validated
balanced accuracy on ``plankton`` and on ``bccd``, there with all cells of one slide image in one
fold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import probe
import torch
from augment import normalise
from checkpoint import write_atomically
from network import CROP, INTERPOLATION, RESIZE, SIZES_PX, build_network, embed
from safetensors.torch import load_file
from teacher import load_teacher
from torch import Tensor, nn

SQUEEZENET_PX = 224
Rows = dict[str, dict[str, Any]]
Features = Callable[[list[Path]], np.ndarray]


def load_network(weights: Path | None) -> nn.Module:
    """Return the network for inference, with the weights of a safetensors file or untrained."""
    torch.manual_seed(0)
    network = build_network()
    if weights is not None:
        state = load_file(weights)
        network.load_state_dict({k: v.to(network.state_dict()[k].dtype) for k, v in state.items()})
    return network.eval().to(memory_format=torch.channels_last)


def in_batches(forward: Callable[[Tensor], Tensor], size_px: int) -> Features:
    """Return a function from files to float32 ``(n, width)``: resize, normalise, forward."""

    def features(paths: list[Path]) -> np.ndarray:
        parts = []
        for i in range(0, len(paths), 64):
            images = probe.load_images(paths[i : i + 64], size_px, RESIZE, CROP, INTERPOLATION)
            x = normalise(torch.from_numpy(images).float() / 255)
            with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
                parts.append(forward(x.contiguous(memory_format=torch.channels_last)).float())
        return torch.cat(parts).numpy()

    return features


def raw_pixels(paths: list[Path]) -> np.ndarray:
    """Return images reduced to 16x16 as float32 ``(n, 768)`` in 0..1."""
    images = probe.load_images(paths, 16)
    return images.reshape(len(images), -1).astype(np.float32) / 255


def score(features: Features, images: Path) -> dict[str, float]:
    """Return the three figures of one row; data sets are folders of ``images``."""
    clothing = [
        probe.read_folder(images / "clothing" / part) for part in ("train", "validation", "test")
    ]
    plankton = probe.read_folder(images / "plankton")
    bccd = probe.read_csv(images / "bccd.csv")
    return {
        "clothing_test_accuracy": probe.train_validation_test(
            [(features(part.paths), part.labels) for part in clothing]
        ),
        "plankton_balanced_accuracy": probe.cross_validated(
            features(plankton.paths), plankton.labels, None
        ),
        "bccd_balanced_accuracy": probe.cross_validated(
            features(bccd.paths), bccd.labels, bccd.groups
        ),
    }


def table(rows: Rows) -> str:
    """Return the rows as a Markdown table."""
    names = [name for name in next(iter(rows.values())) if name != "origin"]
    lines = ["| features | " + " | ".join(n.replace("_", " ") for n in names) + " |"]
    lines.append("|---|" + "---:|" * len(names))
    for label, values in rows.items():
        lines.append(f"| {label} | " + " | ".join(f"{values[n]:.3f}" for n in names) + " |")
    return "\n".join(lines)


def evaluate(weights: Path, teacher: Path, images: Path, out: Path) -> Rows:
    """Return the figures of all rows, each written to ``table.json`` in ``out`` when it is there.

    A row already there is kept if the weights, the code and the settings are the same: an
    evaluation that was cut off goes on where it was.
    """
    squeezenet = load_teacher(teacher)
    makers: dict[str, tuple[Path | None, Features]] = {
        "raw pixels, 16x16": (None, raw_pixels),
        "featx:mini-v1, untrained": (
            None,
            in_batches(partial(embed, load_network(None)), SIZES_PX[0]),
        ),
        "featx:mini-v1": (weights, in_batches(partial(embed, load_network(weights)), SIZES_PX[0])),
        "ImageNet SqueezeNet 1.0, 224 px": (
            teacher,
            in_batches(lambda x: squeezenet(x).float().mean(dim=(2, 3)), SQUEEZENET_PX),
        ),
    }
    file = out / "table.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    rows: Rows = {}
    for label, (weights_file, features) in makers.items():
        origin = fingerprint(weights_file)
        known = before.get(label, {})
        if known.get("origin") != origin:
            known = {"origin": origin, **score(features, images)}
        rows[label] = known
        print(label, known, flush=True)
        text = json.dumps({**before, **rows}, indent=2) + "\n"
        write_atomically(file, partial(_write, text.encode()))
    return rows


def fingerprint(weights: Path | None) -> str:
    """Return 12 digits that change with a row's weights and with the code that measures it."""
    digest = hashlib.sha256(weights.read_bytes() if weights else b"")
    here = Path(__file__).parent
    for name in ("evaluate.py", "probe.py", "network.py"):
        digest.update((here / name).read_bytes())
    return digest.hexdigest()[:12]


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def tabulate(weights: Path, teacher: Path, images: Path, out: Path) -> None:
    """Print the table and leave it as ``table.json`` in the folder ``out``."""
    print(table(evaluate(weights, teacher, images, out)))

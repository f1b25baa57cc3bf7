"""What stands for real data and weights in a quick run: noise that a class colours."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"hat": (190, 60, 50), "dress": (60, 160, 70), "shirt": (60, 80, 190)}
SIDE_PX = 48


def picture(path: Path, name: str, rng: np.random.Generator) -> None:
    """One image of a class."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = rng.integers(-60, 61, (6, 6, 3)).repeat(SIDE_PX // 6, 0).repeat(SIDE_PX // 6, 1)
    pixels = np.array(COLOURS[name]) + coarse + rng.normal(0, 12, (SIDE_PX, SIDE_PX, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def images(folder: Path) -> Path:
    """``train/`` and ``test/`` of three classes, as JPEG files."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 60), ("test", 20)):
        for name in COLOURS:
            for i in range(count):
                picture(folder / "images" / split / name / f"{i:03}.jpg", name, rng)
    return folder / "images"


def data(folder: Path) -> Path:
    """``clothing/``, ``plankton/``, ``bccd.csv`` and ``malaria.csv``, as the benchmarks expect."""
    rng = np.random.default_rng(1)
    (images(folder)).rename(folder / "clothing")
    for name in COLOURS:
        for i in range(60):
            picture(folder / "plankton" / name / f"{i:03}.png", name, rng)
    for table, groups, of_each in (("bccd", 20, 3), ("malaria", 24, 14)):
        rows = []
        for group in range(groups):
            for i in range(of_each):
                name = list(COLOURS)[(group + i) % 2]
                path = folder / table / name / f"{group}-{i}.png"
                picture(path, name, rng)
                rows.append([path.relative_to(folder).as_posix(), name, f"g{group}"])
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["path", "label", "group"], *rows])
    return folder


def weights(folder: Path) -> Path:
    """Random weights of torchvision's SqueezeNet 1.0."""
    import torch
    import torchvision
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = torchvision.models.squeezenet1_0(weights=None)
    save_file(network.state_dict(), folder / "squeezenet1_0.safetensors")
    return folder / "squeezenet1_0.safetensors"

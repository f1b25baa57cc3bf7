"""Small images, a small network with seeded random weights, and a head fitted on its embeddings."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from featx.backbones import load_backbone
from featx.data.hashing import content_hash
from featx.finetuning import HeadWeights, ImageBank, Task, Trained
from featx.finetuning.training import TrainingLoop
from featx.types import BackboneRequest
from tests.lab import save_pixels

BACKBONE = "timm:test_resnet"
N_IMAGES = 36
TRAINING, VALIDATION, FORBIDDEN = np.arange(0, 24), np.arange(24, 30), np.arange(30, N_IMAGES)
COLOURS = ((60, 60, 160), (60, 160, 60), (160, 60, 60))


def paint(path: Path, colour: tuple[int, ...], rng: np.random.Generator) -> None:
    """A very noisy 32×32 image of one colour."""
    save_pixels(path, np.array(colour) + rng.integers(-60, 61, (32, 32, 3)))


class Lab:
    """Everything that a `Task` is made of; each task has a network of its own."""

    def __init__(self, folder: Path, n_classes: int = 3, backbone: str = BACKBONE) -> None:
        rng = np.random.default_rng(0)
        self.folder = folder
        self.y = np.arange(N_IMAGES) % n_classes
        self.paths = [str(folder / f"{i:02}.png") for i in range(N_IMAGES)]
        for path, c in zip(self.paths, self.y, strict=True):
            paint(Path(path), COLOURS[c], rng)
        request = BackboneRequest(backbone, pretrained=False, size_px=32)
        self.backbone = load_backbone(request)
        hashes = [content_hash(Path(p).read_bytes()) for p in self.paths]
        self.hashes = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)
        X = self.embeddings()[TRAINING]
        head = LogisticRegression(C=0.01)
        pipeline = Pipeline([("scaler", StandardScaler()), ("head", head)])
        self.pipeline = pipeline.fit(X, self.y[TRAINING])

    def bank(self, **options: Any) -> ImageBank:
        """A bank of all images."""
        options = {"memory_bytes": 10**9, **options}
        return ImageBank(self.paths, self.hashes, self.backbone.preprocess, **options)

    def embeddings(self) -> np.ndarray:
        """What the frozen backbone says of all images."""
        preprocess = self.backbone.preprocess
        pixels = self.bank().plain(np.arange(N_IMAGES)).astype(np.float32) / 255
        x = (pixels - np.array(preprocess.mean)) / np.array(preprocess.std)
        with torch.no_grad():
            (X,) = self.backbone.network(torch.tensor(x, dtype=torch.float32).permute(0, 3, 1, 2))
        return np.asarray(X.numpy())

    def task(self, name: str = "task", **changes: Any) -> Task:
        """A task with a network of its own."""
        task = Task(
            name=name,
            backbone=copy.deepcopy(self.backbone.network),
            head=HeadWeights.of(self.pipeline),
            bank=self.bank(),
            y=self.y,
            training=TRAINING,
            validation=VALIDATION,
            folder=self.folder / name,
            device="cpu",
            precision="fp32",
            scoring="balanced_accuracy",
            seed=0,
            upright=True,
        )
        return replace(task, **changes)


MakeLab = Callable[..., Lab]


def die_at(monkeypatch: pytest.MonkeyPatch, steps: list[int]) -> None:
    """Interrupt training before each of these steps in turn, which are taken off the list."""
    step = TrainingLoop._step

    def die(self: TrainingLoop, *arguments: Any) -> None:
        if steps and self.progress.step == steps[0]:
            steps.pop(0)
            raise KeyboardInterrupt
        step(self, *arguments)

    monkeypatch.setattr(TrainingLoop, "_step", die)


def timeless(trained: Trained) -> list[dict[str, Any]]:
    """The history without what is never the same twice."""
    return [{k: v for k, v in row.items() if k != "images_per_s"} for row in trained.history]


def assert_same_weights(one: Trained, other: Trained) -> None:
    """Bit for bit."""
    tensors = other.classifier.state_dict()
    for name, tensor in one.classifier.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name

"""What a network says of images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from featx.finetuning.classifier import NetworkClassifier
from featx.finetuning.images import ImageBank
from featx.types import Float32Array, FloatArray, IntArray

_BATCH = 32


@torch.no_grad()
def predict(
    classifier: NetworkClassifier, bank: ImageBank, rows: IntArray, precision: str
) -> FloatArray:
    """Probabilities of the classes of images as they are, shape (n, n_classes).

    Leaves it frozen in evaluation mode.

    Parameters
    ----------
    classifier : NetworkClassifier
    bank : ImageBank
    rows : ndarray of int64
    precision : {"fp32", "bf16"}
    """
    batches = _outputs(classifier, classifier, bank, rows, precision)
    return np.concatenate([torch.softmax(z.double(), dim=1).cpu().numpy() for z in batches])


@torch.no_grad()
def embed(
    classifier: NetworkClassifier, bank: ImageBank, rows: IntArray, precision: str
) -> Float32Array:
    """Embeddings of images as they are, shape (n, n_features), by the backbone as it is trained.

    Parameters
    ----------
    classifier, bank, rows, precision
        As in `predict`.
    """
    batches = _outputs(classifier.backbone, classifier, bank, rows, precision)
    return np.concatenate([embedding.float().cpu().numpy() for (embedding,) in batches])


def _outputs(
    module: nn.Module,
    classifier: NetworkClassifier,
    bank: ImageBank,
    rows: IntArray,
    precision: str,
) -> Iterator[Any]:
    """What a part of the classifier gives, batch by batch."""
    classifier.eval()
    device = classifier.get_buffer("mean").device
    for start in range(0, len(rows), _BATCH):
        pixels = torch.from_numpy(bank.plain(rows[start : start + _BATCH])).to(device)
        x = classifier.normalise(pixels).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            yield module(x)

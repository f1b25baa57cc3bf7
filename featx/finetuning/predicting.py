"""What a network says of images."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from featx.finetuning.classifier import NetworkClassifier
from featx.finetuning.images import ImageBank

_BATCH = 32


@torch.no_grad()
def predict(
    classifier: NetworkClassifier, bank: ImageBank, rows: NDArray[np.int64], precision: str
) -> NDArray[np.float64]:
    """Probabilities of the classes of images as they are, shape (n, n_classes).

    Leaves it frozen in evaluation mode.

    Parameters
    ----------
    classifier : NetworkClassifier
    bank : ImageBank
    rows : ndarray of int64
    precision : {"fp32", "bf16"}
    """
    classifier.eval()
    device = classifier.get_buffer("mean").device
    proba = []
    for start in range(0, len(rows), _BATCH):
        pixels = torch.from_numpy(bank.plain(rows[start : start + _BATCH])).to(device)
        x = classifier.normalise(pixels).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            scores = classifier(x)
        proba.append(torch.softmax(scores.double(), dim=1).cpu().numpy())
    return np.concatenate(proba)

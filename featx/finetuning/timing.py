"""How long training will take, from a step that is measured before it."""

from __future__ import annotations

import copy
import time

import numpy as np
import torch
from torch import nn

from featx.config import FinetuneConfig
from featx.finetuning.classifier import HeadWeights, NetworkClassifier
from featx.finetuning.lora import freeze
from featx.finetuning.unfreezing import set_modes
from featx.types import Preprocess

_IMAGES = {"cpu": 8}  # of the measured step; as many as a step has where a device has many cores


def time_images(
    network: nn.Module,
    preprocess: Preprocess,
    n_features: int,
    config: FinetuneConfig,
    device: str,
    precision: str,
) -> tuple[float, float]:
    """Seconds that an image takes in training and in prediction, on one device.

    Decoding and augmentation are not in it: threads of their own do them meanwhile.

    Parameters
    ----------
    network : Module
        Of the backbone; a copy is measured.
    preprocess : Preprocess
    n_features : int
    config : FinetuneConfig
        With its rates resolved.
    device, precision : str

    Raises
    ------
    UsageError
        ``config.unfreeze`` or ``config.lora`` asks for what the network does not have.
    """
    head = HeadWeights(
        np.zeros(n_features), np.ones(n_features), [(np.zeros((2, n_features)), np.zeros(2))]
    )
    classifier = NetworkClassifier(copy.deepcopy(network), head, preprocess)
    classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    freeze(classifier, preprocess, config, 0)
    n = _IMAGES.get(device, config.train_batch)
    pixels = torch.zeros(n, *preprocess.size_px, 3, dtype=torch.uint8, device=device)
    x = classifier.normalise(pixels).contiguous(memory_format=torch.channels_last)

    def run(training: bool) -> float:
        set_modes(classifier, training=training, train_batch_norm=False)
        started = time.perf_counter()
        with (
            torch.set_grad_enabled(training),
            torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"),
        ):
            scores = classifier(x)
        if training:
            scores.float().sum().backward()
        float(scores.detach().sum())  # waits for a GPU
        return (time.perf_counter() - started) / n

    with torch.random.fork_rng():
        run(True)  # the first takes memory and chooses kernels
        return run(True), run(False)


def suits_bf16(network: nn.Module) -> bool:
    """Whether a CPU that multiplies bf16 trains a network faster in it.

    Convolutions of each channel alone have no fast backward pass in bf16 there: an EfficientNet
    took 1.5 times as long in it as in fp32, while a SqueezeNet took half as long.
    """
    return not any(
        isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1 for m in network.modules()
    )

"""A backbone and the head fitted on its frozen embeddings, trained on together.

Importing this package imports torch.
"""

from __future__ import annotations

from featx.finetuning.augmenting import augmenter
from featx.finetuning.checkpoints import save_backbone
from featx.finetuning.classifier import HeadWeights, NetworkClassifier
from featx.finetuning.images import ImageBank
from featx.finetuning.predicting import embed, predict
from featx.finetuning.recipes import describe_recipe, resolve_rates
from featx.finetuning.searching import Searched, search
from featx.finetuning.starting import train
from featx.finetuning.task import Task, Trained
from featx.finetuning.timing import time_images

__all__ = [
    "HeadWeights",
    "ImageBank",
    "NetworkClassifier",
    "Searched",
    "Task",
    "Trained",
    "augmenter",
    "describe_recipe",
    "embed",
    "predict",
    "resolve_rates",
    "save_backbone",
    "search",
    "time_images",
    "train",
]

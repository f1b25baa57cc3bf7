"""Frozen pretrained networks: from a name to a module that turns pixels into embeddings.

A source (``timm``, ``torchvision``, ``featx``) is one file here; its name is what stands before
the colon in a backbone's name. Importing this package imports neither torch nor a zoo.
"""

from __future__ import annotations

from featx.backbones._base import (
    Backbone,
    BackboneInfo,
    BackboneOutput,
    Features,
    LayerInfo,
    Network,
    Source,
)
from featx.backbones._explaining import Explanation, explain
from featx.backbones._here import weights_here
from featx.backbones._kept import open_backbone
from featx.backbones._listing import count_backbones, list_backbones, list_layers
from featx.backbones._loading import SOURCES, load_backbone
from featx.backbones._recognising import recognise_backbone
from featx.backbones._recommended import Published, Recommendation, measured_on, recommended

__all__ = [
    "SOURCES",
    "Backbone",
    "BackboneInfo",
    "BackboneOutput",
    "Explanation",
    "Features",
    "LayerInfo",
    "Network",
    "Published",
    "Recommendation",
    "Source",
    "count_backbones",
    "explain",
    "list_backbones",
    "list_layers",
    "load_backbone",
    "measured_on",
    "open_backbone",
    "recognise_backbone",
    "recommended",
    "weights_here",
]

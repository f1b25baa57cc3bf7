"""``open_backbone``: a backbone whose network is loaded only when something must be computed.

What `load_backbone` measured is kept with the identity of every file it rests on. While all of
them are unchanged, widths, preprocessing and fingerprints are known without importing torch.
"""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx import console
from featx.backbones._base import Backbone, BackboneOutput
from featx.backbones._loading import FORMAT_VERSION, SOURCES, load_backbone
from featx.data.decode import DECODE_POLICY
from featx.data.preprocess import PREPROCESS_VERSION
from featx.errors import BackboneError
from featx.kept import kept_key, read_kept, write_kept
from featx.types import BackboneRequest, Preprocess

if TYPE_CHECKING:
    from torch import nn

_LOADING = 2  # raised where the same request comes to mean another network or layer
_LIBRARIES = ("featx", "torch", "torchvision", "timm")
_PLACES = ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME", "XDG_CACHE_HOME")


def open_backbone(request: BackboneRequest, *, offline: bool = False) -> Backbone:
    """Like `load_backbone`; reads the weights only when ``network`` is first used, where it can.

    Parameters
    ----------
    request : BackboneRequest
        Name, weights, layers, poolings and preprocessing.
    offline : bool, default False
        Never ask a hub.

    Raises
    ------
    UnknownNameError, WeightsNotFoundError, BackboneError
        As `load_backbone`. On the first use of ``network`` also where the weights have changed
        since the backbone was opened.
    """
    name = f"backbones/{kept_key(_conditions(request))}"
    kept = read_kept(name)
    backbone = None if kept is None else _from_kept(kept, request, offline=offline)
    if backbone is None:
        backbone = load_backbone(request, offline=offline)
        write_kept(name, _to_kept(backbone))
    elif not backbone.pretrained:
        console.warn(
            f"{backbone.name} has random weights: its embeddings say little about the images."
        )
    return backbone


def _conditions(request: BackboneRequest) -> dict[str, Any]:
    """Everything but files that decides what the request becomes."""
    document = request.document()
    if request.weights is not None:
        document["weights"] = str(Path(request.weights).absolute())
    source = request.name.partition(":")[0]
    plugin = [row for row in SOURCES.contents() if row[0] == source]
    return {
        **({"plugin": plugin} if plugin else {}),
        "request": document,
        "versions": [FORMAT_VERSION, PREPROCESS_VERSION, DECODE_POLICY, _LOADING],
        "libraries": [importlib.metadata.version(library) for library in _LIBRARIES],
        "places": [os.environ.get(place) for place in _PLACES],
    }


def _identity(path: str) -> list[Any] | None:
    """What changes when a file is replaced or written to; None where there is no file."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return [path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _to_kept(backbone: Backbone) -> dict[str, Any]:
    return {
        "files": [_identity(str(path)) for path in backbone.files],
        "name": backbone.name,
        "preprocess": backbone.preprocess.document(),
        "pretrained": backbone.pretrained,
        "precision": backbone.precision,
        "outputs": [[o.name, o.n_features, o.document] for o in backbone.outputs],
    }


def _from_kept(kept: dict[str, Any], request: BackboneRequest, *, offline: bool) -> Backbone | None:
    """The backbone that was kept; None where a file has changed or the record is damaged."""
    try:
        if any(
            identity is None or _identity(identity[0]) != identity for identity in kept["files"]
        ):
            return None
        outputs = tuple(BackboneOutput(*output) for output in kept["outputs"])
        return Backbone(
            name=kept["name"],
            request=request,
            preprocess=Preprocess.from_document(kept["preprocess"]),
            pretrained=kept["pretrained"],
            load=lambda: _load_same(request, outputs, offline=offline),
            outputs=outputs,
            files=tuple(Path(identity[0]) for identity in kept["files"]),
            precision=str(kept["precision"]),
        )
    except (KeyError, TypeError, IndexError):
        return None


def _load_same(
    request: BackboneRequest, outputs: tuple[BackboneOutput, ...], *, offline: bool
) -> nn.Module:
    backbone = load_backbone(request, offline=offline)
    if backbone.outputs != outputs:
        raise BackboneError(
            f"The weights of {backbone.name} have changed since this run began.",
            hint="Run the same command again.",
        )
    return backbone.network

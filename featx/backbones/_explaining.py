"""Where in images a direction in the space of their embeddings comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from featx.backbones._loading import load_backbone
from featx.errors import BackboneError
from featx.types import BackboneRequest, FloatArray, Preprocess, UInt8Array

AT_ONCE = 8  # images, for the memory that their maps take


@dataclass(frozen=True)
class Explanation:
    """One map an image over the network's input.

    Parameters
    ----------
    kind : {"activation", "attention"}
        ``activation``: what each place adds to the product of embedding and direction, the sum of
        which it is. ``attention``: shares of attention; they know of no direction.
    maps : ndarray of shape (n, rows, columns), float64
    """

    kind: Literal["activation", "attention"]
    maps: FloatArray


def explain(
    request: BackboneRequest,
    document: dict[str, Any],
    pixels: UInt8Array,
    directions: FloatArray,
) -> Explanation | None:
    """Maps of images: class activation where it is exact, else attention, else None.

    Parameters
    ----------
    request : BackboneRequest
        Builds the backbone; nothing is fetched for it.
    document : dict
        Of the extractor; the backbone must be the one that it describes.
    pixels : ndarray of shape (n, height, width, 3), uint8
        What `featx.data.preprocess.preprocess_image` makes of the images.
    directions : ndarray of shape (n, n_features), float64
        One for each image.

    Raises
    ------
    BackboneError
        The backbone on this machine is another.
    """
    import torch

    from featx.backbones._maps import class_activation, pooled_sources, roll_out

    backbone = load_backbone(request, offline=True)
    wanted = {key: value for key, value in document.items() if key != "numerics"}
    found = [i for i, output in enumerate(backbone.outputs) if output.document == wanted]
    if not found:
        raise BackboneError(f"{backbone.name} is not the backbone that the model was fitted with.")
    tapped: Any = backbone.network
    x = _normalised(pixels, backbone.preprocess)
    along = torch.from_numpy(np.ascontiguousarray(directions, np.float64))
    batches = [slice(start, start + AT_ONCE) for start in range(0, len(x), AT_ONCE)]
    sources = pooled_sources(tapped, found[0], x)
    if sources is not None:
        added = [class_activation(tapped, found[0], x[b], along[b], sources) for b in batches]
        maps = [together([p.numpy() for p in parts]) for parts in added if parts is not None]
        return _whole("activation", maps, len(batches))
    rolled = [roll_out(tapped, found[0], x[b]) for b in batches]
    return _whole("attention", [r.numpy() for r in rolled if r is not None], len(batches))


def _whole(
    kind: Literal["activation", "attention"], maps: list[FloatArray], n_batches: int
) -> Explanation | None:
    """All maps; None where some are missing."""
    return Explanation(kind, np.concatenate(maps)) if len(maps) == n_batches else None


def _normalised(pixels: UInt8Array, preprocess: Preprocess) -> Any:
    import torch

    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (preprocess.mean, preprocess.std))
    return (x - mean) / std


def together(maps: Sequence[FloatArray]) -> FloatArray:
    """The sum of maps (n, rows, columns) of several sizes on the finest grid.

    A cell's value is shared out over the cells that it covers, by area: sums stay.
    """
    rows, columns = (max(part.shape[axis] for part in maps) for axis in (1, 2))
    return np.asarray(
        sum(_shared(part.shape[1], rows) @ part @ _shared(part.shape[2], columns).T
            for part in maps)
    )  # fmt: skip


def _shared(n: int, m: int) -> FloatArray:
    """Which share of each of ``n`` equal cells of a line lies in each of ``m``, shape (m, n)."""
    ends = np.arange(n + 1) / n
    cells = np.arange(m + 1) / m
    low = np.maximum(cells[:-1, None], ends[None, :-1])
    high = np.minimum(cells[1:, None], ends[None, 1:])
    return np.maximum(high - low, 0) * n

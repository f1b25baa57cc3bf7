"""What a network itself calls its features, pooled: ``--pooling`` without ``--layer``.

Which tensor that is is known from the zoo (``forward_features`` of timm, the input of torchvision's
classifiers), never from a shape.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from featx.backbones._base import Network
from featx.backbones._pooling import reduce_places
from featx.errors import BackboneError

LAST_FEATURES = "last-features"
NEAR = 1e-5  # of its length, that a vector may differ by and be the same


def pool_features(output: Any, pooling: str, network: Network) -> Tensor:
    """Pool the network's features into ``(n, n_features)``; never a view of them.

    Parameters
    ----------
    output : Tensor
        ``(n, channels, height, width)``, ``(n, height, width, channels)`` or
        ``(n, tokens, channels)``, as ``network.features`` says.
    pooling : {"avg", "max", "avg+max", "cls", "flatten"}
        Prefix tokens take no part in ``avg`` and ``max``.
    network : Network
        Whose features they are.

    Raises
    ------
    BackboneError
        They cannot be pooled so.
    """
    features = network.features
    if not isinstance(output, Tensor) or output.ndim not in (3, 4):
        raise _refused(network, pooling, f"its features are {_described(output)}, not one map")
    if pooling == "flatten":
        return output.flatten(1).clone()
    if output.ndim == 4:
        if pooling == "cls":
            raise _refused(network, pooling, "its features are a map without a class token")
        places = output if features.channels_last else output.permute(0, 2, 3, 1)
        return reduce_places(places.flatten(1, 2), pooling)
    if pooling == "cls":
        if not features.has_cls_token:
            raise _refused(network, pooling, "its tokens have no class token among them")
        return output[:, 0].clone()
    if output.shape[1] <= features.n_prefix_tokens:
        raise _refused(network, pooling, "its features are class tokens alone")
    return reduce_places(output[:, features.n_prefix_tokens :], pooling)


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"of shape {tuple(output.shape[1:])}"
    if isinstance(output, list | tuple):
        return f"{len(output)} tensors (one of each branch or stage)"
    return f"a {type(output).__name__}"


def _refused(network: Network, pooling: str, why: str) -> BackboneError:
    return BackboneError(
        f"Pooling {pooling!r} of {network.name} is not possible: {why}.",
        hint="Leave --pooling out for the network's own pre-logits, use another pooling, or name "
        f"a layer with --layer; featx backbones {network.name} --layers lists them.",
    )


def vectors_agree(first: Tensor, second: Tensor) -> bool:
    """Whether two poolings of one image are the same but for rounding."""
    if first.shape != second.shape:
        return False
    return bool((first - second).norm() <= NEAR * second.norm())

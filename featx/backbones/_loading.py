"""``load_backbone``: from a request to a backbone whose outputs are measured and fingerprinted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from featx import console
from featx.backbones._base import Backbone, BackboneOutput, Network, Source
from featx.backbones._unknown import names_holding, names_message
from featx.errors import BackboneError, UsageError
from featx.registry import Registry, lacks
from featx.shell import as_argument, shell_line
from featx.types import AUTO_LAYER, PRE_LOGITS, BackboneRequest, Preprocess

if TYPE_CHECKING:
    from torch import Tensor

    from featx.backbones._taps import Tap, TappedNetwork

FORMAT_VERSION = 1
"""Version of the document that the fingerprint hashes; raised when its meaning changes."""

SOURCES = Registry(
    "featx.backbones",
    str(Path(__file__).parent),
    "backbone source",
    fault=lambda name, plugin: lacks(plugin, "build", "sketch", "names", "info"),
)


def load_backbone(request: BackboneRequest, *, offline: bool = False) -> Backbone:
    """Build the backbone that ``request`` describes.

    Parameters
    ----------
    request : BackboneRequest
        Name, weights, layers, poolings and preprocessing.
    offline : bool, default False
        Never ask a hub; ``HF_HUB_OFFLINE`` does the same.

    Returns
    -------
    Backbone
        On the CPU, in evaluation mode, with its widths measured.

    Raises
    ------
    UnknownNameError
        No such source, network, weights or layer.
    WeightsNotFoundError
        The weights are not on this machine and cannot be fetched; says where to put them.
    BackboneError
        The weights do not fit or are not safe to read, or the network cannot take this input.
    """
    import torch

    from featx.backbones._taps import TappedNetwork, choose_taps

    source, name = parse_name(request.name)
    network = source.build(name, request, offline=offline)
    network.module.eval().requires_grad_(False)
    network.preprocess = override(network.preprocess, request)
    if not network.pretrained:
        console.warn(
            f"{network.name} has random weights: its embeddings say little about the images."
        )
    if network.fitted.message:
        console.log(f"{network.weights_file}: {network.fitted.message}.")
    x = torch.zeros(1, 3, *network.preprocess.size_px)
    with _explained(network):
        taps = choose_taps(network, request.layers, request.poolings, x)
        separate = request.separate or AUTO_LAYER in request.layers
        groups = tuple((tap,) for tap in taps) if separate else (taps,)
        tapped = TappedNetwork(network, groups)
        if network.fitted.absent:
            _prove_independent(network, tapped, x)
        outputs = _measure(network, tapped, x)
    return Backbone(
        name=network.name,
        request=request,
        preprocess=network.preprocess,
        pretrained=network.pretrained,
        load=lambda: tapped,
        outputs=outputs,
        files=_files(network.weights_file),
        precision=network.precision,
    )


def _files(weights: Path | None) -> tuple[Path, ...]:
    """The weights' file and, in a Hugging Face cache, the one that says which revision counts."""
    if weights is None:
        return ()
    references = weights.parent.parent.parent / "refs" / "main"
    is_snapshot = weights.parent.parent.name == "snapshots" and references.is_file()
    return (weights.absolute(), references.absolute()) if is_snapshot else (weights.absolute(),)


def parse_name(name: str) -> tuple[Source, str]:
    """Split ``source:name`` and find the source."""
    prefix, colon, rest = name.partition(":")
    if not colon or not rest:
        raise UsageError(
            f"Backbone {name!r} has no prefix for its source; allowed are "
            f"{', '.join(f'{s}:NAME' for s in SOURCES.names())}.{_holding(name)}",
            hint=f"{shell_line('featx', 'backbones', as_argument(name or 'resnet'))} lists "
            "backbones with this in their name.",
        )
    source: Source = SOURCES.get(prefix)
    return source, rest


def _holding(part: str) -> str:
    """`` 'dinov2' is part of 8 names: …``; empty where no backbone's name holds it."""
    if not part or ":" in part:
        return ""
    asked = ((s, SOURCES.ask(s, source.names)) for s, source in SOURCES.working())
    names = [f"{s}:{name}" for s, found in asked for name in found or ()]
    networks = list(dict.fromkeys(name.partition(".")[0] for name in names))
    found = names_holding(part, networks) or names_holding(part, names)
    return f" {names_message(part, found)}" if found else ""


def override(preprocess: Preprocess, request: BackboneRequest) -> Preprocess:
    """The weights' own preprocessing with what the request says otherwise.

    Squashing keeps the whole image unless a crop is asked for too.
    """
    if request.size_px is not None:
        preprocess = replace(preprocess, size_px=(request.size_px, request.size_px))
    if request.resize is not None and request.resize != preprocess.resize:
        crop = 1.0 if request.resize == "squash" else preprocess.crop
        preprocess = replace(preprocess, resize=request.resize, crop=crop)
    return replace(
        preprocess,
        crop=preprocess.crop if request.crop is None else request.crop,
        interpolation=request.interpolation or preprocess.interpolation,
        decode=request.decode,
        range=request.range,
    )


@contextmanager
def _explained(network: Network) -> Iterator[None]:
    """Turn what torch raises for an input that a network cannot take into a BackboneError."""
    try:
        yield
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        height, width = network.preprocess.size_px
        raise BackboneError(
            f"{network.name} cannot take images of {height} × {width} px: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}",
            hint="Leave --size out to use the weights' own size.",
        ) from error


def _measure(network: Network, tapped: TappedNetwork, x: Tensor) -> tuple[BackboneOutput, ...]:
    """Describe each output with the width it really has: attributes of zoos do not always say."""
    from featx.backbones._tracing import call_for_shapes
    from featx.backbones._weights import digest
    from featx.data.decode import DECODE_POLICY
    from featx.data.preprocess import PREPROCESS_VERSION

    vectors = call_for_shapes(tapped, x)
    common = {
        "format_version": FORMAT_VERSION,
        "architecture": network.architecture,
        "weights_sha256": digest(network.module),
        "preprocess": network.preprocess.document(),
        "preprocess_version": PREPROCESS_VERSION,
        "decode": DECODE_POLICY,
    }
    outputs = []
    for group, vector in zip(tapped.groups, vectors, strict=True):
        name = _output_name(group)
        document = common | {
            "backbone": network.name if name == PRE_LOGITS else f"{network.name}/{name}",
            "output": [{"layer": tap.layer, "pooling": tap.pooling} for tap in group],
            "n_features": vector.shape[1],
        }
        outputs.append(BackboneOutput(name, vector.shape[1], document))
    return tuple(outputs)


def _prove_independent(network: Network, tapped: TappedNetwork, x: Tensor) -> None:
    """Refuse outputs that depend on tensors that the file lacks.

    With these not a number, everything that depends on them is none either.
    """
    import torch

    state = network.module.state_dict()
    before = {name: state[name].clone() for name in network.fitted.absent}
    try:
        with torch.inference_mode():
            for name in before:
                if state[name].is_floating_point():
                    state[name].fill_(torch.nan)
            vectors = tapped(x)
    finally:
        with torch.no_grad():
            for name, tensor in before.items():
                state[name].copy_(tensor)
    if not all(bool(vector.isfinite().all()) for vector in vectors):
        some = ", ".join(network.fitted.absent[:6])
        raise BackboneError(
            f"{str(network.weights_file)!r} lacks {len(before)} tensors needed for this "
            f"embedding of {network.name}: {some}.",
            hint="Where the file ends before the head, --pooling avg takes the features before it.",
        )


def _output_name(group: tuple[Tap, ...]) -> str:
    """``layer3:avg,layer4:avg``, or ``pre-logits``."""
    return ",".join(
        tap.layer if tap.pooling == "own" else f"{tap.layer}:{tap.pooling}" for tap in group
    )

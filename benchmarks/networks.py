"""Every network of timm and torchvision: what it loads, what it refuses, and what it pools.

    python benchmarks/networks.py -o networks.json [--only PART] [--most-pooled 50e6]

For each architecture: a file with other tensors is refused; a file that fits is loaded, and every
tensor of the network is the file's; ``--pooling avg`` and ``max`` equal the pooling of what the
network calls its features, or are refused by name (up to so many parameters as --most-pooled
says). What was found is written after each network, and a second start goes on from there.
tests/backbones/test_zoos.py holds the same of the smallest network of each family.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import timm
import torch
import torchvision
from torch import Tensor, nn

from featx import console
from featx.backbones import SOURCES, load_backbone
from featx.backbones._building import hollow_network
from featx.backbones._timm_filter import build_unloaded
from featx.backbones._weights import fit_weights
from featx.errors import BackboneError
from featx.types import BackboneRequest

TOO_LARGE = ("swinv2_cr_giant_224", "swinv2_cr_giant_384")  # drawn, not only shaped: 10 GB
JUNK_NAMES = ("conv1.weight", "patch_embed.proj.weight", "pos_embed", "cls_token", "head.weight")


def main() -> None:
    """Check all networks that are not in the file of results yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("networks.json"))
    parser.add_argument("--only", default="", help="Part of the names to check.")
    parser.add_argument("--most-pooled", type=float, default=50e6)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for quiet in ("warn", "log", "detail"):
        setattr(console, quiet, lambda message: None)
    found: dict[str, Any] = {}
    if arguments.output.exists():
        found = json.loads(arguments.output.read_text())
    for name in all_names():
        if name in found or arguments.only not in name:
            continue
        start = time.perf_counter()
        found[name] = check(name, arguments.most_pooled)
        found[name]["elapsed_s"] = round(time.perf_counter() - start, 2)
        print(name, found[name], flush=True)
        arguments.output.write_text(json.dumps(found, indent=1))
    for part in ("junk", "fits", "pooling"):
        counts: dict[str, int] = {}
        for row in found.values():
            counts[row[part][:12]] = counts.get(row[part][:12], 0) + 1
        print(part, counts)


def all_names() -> list[str]:
    """Every architecture, with its source."""
    zoo = torchvision.models.list_models(module=torchvision.models)
    return [f"torchvision:{n}" for n in zoo] + [
        f"timm:{n}" for n in timm.list_models() if n not in TOO_LARGE
    ]


def check(name: str, most_pooled: float) -> dict[str, str | float]:
    """What was found of one network."""
    try:
        module, fit = built(name)
    except Exception as error:
        said = f"FAILS {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return {"junk": said, "fits": said, "pooling": said}
    n = sum(p.numel() for p in module.parameters())
    return {
        "millions": round(n / 1e6, 1),
        "junk": outcome(lambda: refused(fit)),
        "fits": outcome(lambda: filled(module, fit)),
        "pooling": "not tried" if n > most_pooled else outcome(lambda: pooled(name)),
    }


def outcome(run: Callable[[], str]) -> str:
    """What ``run`` says, or what it raises."""
    try:
        return run()
    except Exception as error:
        return f"FAILS {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def built(name: str) -> tuple[nn.Module, Callable[[dict[str, Tensor]], Any]]:
    """The network as featx builds it for a file, and how it puts the file's tensors into it."""
    prefix, _, rest = name.partition(":")
    module: Any
    if prefix == "timm":
        module, loading = build_unloaded(rest, {})
        classifier = module.pretrained_cfg.get("classifier") or ()
        heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)

        def fit(state: dict[str, Tensor]) -> Any:
            return fit_weights(
                module,
                state,
                heads=heads,
                what=name,
                convert=lambda state, module: loading.convert(state, module, heads),
                lenient=loading.lenient,
            )
    else:
        with mock.patch("featx.backbones.torchvision.meta_network", hollow_network):
            network = SOURCES.get(prefix).sketch(rest)
        module = network.module

        def fit(state: dict[str, Tensor]) -> Any:
            return fit_weights(module, state, heads=network.heads, what=name)

    return module, fit


def refused(fit: Callable[[dict[str, Tensor]], Any]) -> str:
    """Whether tensors of something else are refused."""
    try:
        fit({name: torch.zeros(3, 3) for name in JUNK_NAMES})
    except BackboneError as error:
        return "refused" if "missing" in str(error) else f"ODD: {error}"
    return "ACCEPTED"


def filled(module: nn.Module, fit: Callable[[dict[str, Tensor]], Any]) -> str:
    """Whether a file that fits is loaded, and all of the network is the file's."""
    made: dict[int, Tensor] = {}  # one tensor may have two names
    state = {}
    for key, tensor in module.state_dict(keep_vars=True).items():
        value = torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)  # takes no memory
        state[key] = made.setdefault(id(tensor), value)
    fit(state)
    theirs = module.state_dict()
    wrong = [k for k in state if theirs[k].data_ptr() != state[k].data_ptr()]
    wrong += [k for k in theirs if k not in state]
    wrong += [k for k, b in module.named_buffers() if b.device.type == "meta"]
    return f"WRONG: {wrong[:3]}" if wrong else "loaded"


def pooled(name: str) -> str:
    """Whether ``avg`` and ``max`` are the pooling of the network's own features."""
    request = BackboneRequest(name, pretrained=False, poolings=("avg", "max"), separate=True)
    try:
        backbone = load_backbone(request)
    except BackboneError as error:
        return f"refused: {str(error).splitlines()[0]}"
    module = backbone.network.module
    x = torch.randn(1, 3, *backbone.preprocess.size_px)
    with torch.inference_mode():
        ours = backbone.network(x)
        wanted = own_timm(module, x) if name.startswith("timm:") else own_torchvision(module, x)
    for vector, own in zip(ours, wanted, strict=False):
        if vector.shape != own.shape or not torch.allclose(vector, own, 1e-4, 1e-4):
            return f"DIFFERS: {tuple(vector.shape)} {tuple(own.shape)}"
    return f"equal: {backbone.outputs[0].name}"


def own_timm(module: Any, x: Tensor) -> list[Tensor]:
    """Average and maximum of a timm network's features, taken without featx."""
    features = module.forward_features(x)
    maps = module.forward_intermediates(x, indices=1)[1][-1]
    if features.ndim == 4:
        is_last = getattr(module, "output_fmt", "NCHW") == "NHWC"
        places = features.flatten(1, 2) if is_last else features.flatten(2).mT
    elif features.shape[1] < maps.shape[2] * maps.shape[3]:  # class tokens, or merged patches
        places = maps.flatten(2).mT if hasattr(module, "cls_token") else features
    else:
        places = features[:, features.shape[1] - maps.shape[2] * maps.shape[3] :]
    return [places.mean(1), places.amax(1)]


def own_torchvision(module: Any, x: Tensor) -> list[Tensor]:
    """What the classifier is given, averaged where it is a map; ViT's patches."""
    taken: list[Tensor] = []
    if hasattr(module, "encoder"):
        module.encoder.register_forward_hook(lambda _m, _i, output: taken.append(output[:, 1:]))
        module(x)
        return [taken[0].mean(1), taken[0].amax(1)]
    part = next(p for p in ("classifier", "head", "fc") if hasattr(module, p))
    getattr(module, part).register_forward_pre_hook(lambda _m, i: taken.append(i[0].clone()))
    module(x)
    kind = type(module).__name__
    if kind in ("VGG", "AlexNet"):
        taken[0] = taken[0].unflatten(1, (512 if kind == "VGG" else 256, -1)).mean(2)
    return [taken[0].flatten(2).mean(2) if taken[0].ndim == 4 else taken[0].flatten(1)]


if __name__ == "__main__":
    main()

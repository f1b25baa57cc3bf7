"""Everything that training is, as one file that is whole or absent: tensors and JSON, no pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from featx import console
from featx.files import make_directory, write_atomic
from featx.finetuning.classifier import NetworkClassifier
from featx.parsing import parse_json
from featx.system_errors import writing

_OPTIMIZER = "optimizer"

#: Tensors by name, and a JSON document.
Snapshot = tuple[dict[str, Tensor], dict[str, Any]]


def write_snapshot(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Write a snapshot, with a checksum; a crash leaves the one before."""
    from safetensors.torch import save

    plain = _plain(tensors)
    text = json.dumps(document)
    with writing("the checkpoint", path, kept="The one before is kept."):
        make_directory(path.parent)
        write_atomic(path, save(plain, {"document": text, "sha256": _checksum(plain, text)}))


def save_backbone(classifier: NetworkClassifier, path: Path) -> None:
    """Write the tensors of a trained network as its zoo names them, for `featx.backbones`."""
    from safetensors.torch import save

    network = classifier.backbone.get_submodule("module")
    with writing("the fine-tuned backbone", path, kept="Checkpoints are kept."):
        make_directory(path.parent)
        write_atomic(path, save(_plain(network.state_dict())))


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of tensors that share no memory, as safetensors wants them."""
    return {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}


def read_snapshot(path: Path, *, aloud: bool = True) -> Snapshot | None:
    """The snapshot, or None where there is none as it was written, which is said ``aloud``."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        if metadata.get("sha256") != _checksum(tensors, metadata["document"]):
            raise ValueError("it has no valid checksum: it was changed, or an older featx wrote it")
        return tensors, parse_json(metadata["document"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        if aloud:
            console.warn(f"the checkpoint {path} cannot be read and is not used: {error}")
        return None


def _checksum(tensors: Mapping[str, Tensor], document: str) -> str:
    """SHA-256 of everything that a snapshot says."""
    digest = hashlib.sha256(document.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers of each parameter."""
    state = optimizer.state_dict()["state"]
    return {
        f"{_OPTIMIZER}.{i}.{key}": value
        for i, values in state.items()
        for key, value in values.items()
        if isinstance(value, Tensor)
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Let an optimiser remember again, each number laid out as its parameter is."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        if kind != _OPTIMIZER:
            continue
        i, _, key = rest.partition(".")
        p = parameters[int(i)]
        like = torch.empty_like(p).copy_(value) if value.shape == p.shape else value
        optimizer.state[p][key] = like.detach()

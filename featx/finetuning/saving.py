"""A trained backbone as a file of weights, for `featx.backbones` to read."""

from __future__ import annotations

from pathlib import Path

from featx.files import make_directory, write_atomic
from featx.finetuning.classifier import NetworkClassifier
from featx.system_errors import writing


def save_backbone(classifier: NetworkClassifier, path: Path) -> None:
    """Write the tensors of the network under the names that its zoo gives them."""
    from safetensors.torch import save

    network = classifier.backbone.get_submodule("module")
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}
    with writing("the fine-tuned backbone", path, kept="Checkpoints are kept."):
        make_directory(path.parent)
        write_atomic(path, save(tensors))

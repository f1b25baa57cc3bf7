"""Stages of a network, which of them are trained when, and at what share of the learning rate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from featx.errors import UsageError
from featx.finetuning.classifier import NetworkClassifier

_CONTAINERS = (nn.Sequential, nn.ModuleList)
_MOST = 0.8  # of the parameters: a container that holds so many is opened
_FEWEST = 3  # parts: where there are fewer, the largest container is opened
_NORMS = (nn.modules.batchnorm._BatchNorm,)


@dataclass(frozen=True)
class NetworkStage:
    """Parameters that are frozen or trained together.

    Parameters
    ----------
    name : str
        Of its modules.
    parameters : tuple of (str, Parameter)
        With their names in the `NetworkClassifier`.
    modules : tuple of Module
        That are called one after the other; none for the head.
    """

    name: str
    parameters: tuple[tuple[str, nn.Parameter], ...]
    modules: tuple[nn.Module, ...] = ()

    @property
    def n_parameters(self) -> int:
        """Numbers in them."""
        return sum(p.numel() for _, p in self.parameters)


def find_stages(classifier: NetworkClassifier, size_px: tuple[int, int]) -> list[NetworkStage]:
    """Stages of the backbone from the input on, and the head as the last.

    A stage is a child of the network, in the order in which it is written down, or of the container
    that holds nearly all of it (``blocks``, ``features``, ``stages``). What has no matrix, such as
    a normalisation, belongs to the stage before it. Parameters that the embedding does not depend
    on (a classifier that is not used, layers above the one that is taken) are in none.
    """
    used = _used(classifier, size_px)
    parts: list[tuple[str, nn.Module]] = [("backbone", classifier.backbone)]
    own: dict[str, tuple[tuple[str, nn.Parameter], ...]] = {}
    while True:
        sizes = [sum(p.numel() for _, p in _named(m, n, used)) for n, m in parts]
        i = sizes.index(max(sizes))
        name, module = parts[i]
        children = [(f"{name}.{n}", c) for n, c in module.named_children() if _named(c, n, used)]
        opens = len(parts) == 1 or isinstance(module, _CONTAINERS)
        few = len(parts) < _FEWEST
        if not children or not opens or (sizes[i] < _MOST * sum(sizes) and not few):
            break
        mine = [(f"{name}.{n}", p) for n, p in module.named_parameters(recurse=False)]
        own[children[0][0]] = tuple((n, p) for n, p in mine if id(p) in used)
        parts[i : i + 1] = children
    stages = [NetworkStage(n, own.get(n, ()) + _named(m, n, used), (m,)) for n, m in parts]
    return [*_merged(stages), _head(classifier)]


def _named(module: nn.Module, prefix: str, used: set[int]) -> tuple[tuple[str, nn.Parameter], ...]:
    """Parameters of a module that matter, with their names."""
    return tuple((f"{prefix}.{n}", p) for n, p in module.named_parameters() if id(p) in used)


def _merged(stages: list[NetworkStage]) -> list[NetworkStage]:
    """Stages without a matrix joined to the one before, if there is one."""
    merged: list[NetworkStage] = []
    for stage in stages:
        if merged and all(p.ndim < 2 for _, p in stage.parameters):
            before = merged.pop()
            parameters = before.parameters + stage.parameters
            stage = NetworkStage(before.name, parameters, before.modules + stage.modules)
        merged.append(stage)
    return [replace(s, name=s.name.removeprefix("backbone.module.")) for s in merged]


def _head(classifier: NetworkClassifier) -> NetworkStage:
    named = tuple((f"layers.{n}", p) for n, p in classifier.layers.named_parameters())
    return NetworkStage("head", named)


def _used(classifier: NetworkClassifier, size_px: tuple[int, int]) -> set[int]:
    """Which parameters change the embedding of some image, by where gradients arrive."""
    parameters = list(classifier.backbone.parameters())
    before = [p.requires_grad for p in parameters]
    device = classifier.get_buffer("mean").device
    try:
        for p in parameters:
            p.requires_grad_(p.is_floating_point())
        classifier.eval()
        wanted = [p for p in parameters if p.requires_grad]
        (embedding,) = classifier.backbone(torch.zeros(1, 3, *size_px, device=device))
        grads = torch.autograd.grad(embedding.sum(), wanted, allow_unused=True)
    finally:
        for p, value in zip(parameters, before, strict=True):
            p.requires_grad_(value)
    return {id(p) for p, g in zip(wanted, grads, strict=True) if g is not None}


class Unfreezing:
    """Which stages are trained in an epoch.

    Parameters
    ----------
    stages : list of NetworkStage
        From `find_stages`.
    mode : str
        ``head``, ``last-N``, ``all`` or ``gradual``: in the first epoch the head alone, then one
        stage more at a time, so that all are trained from the middle on (Howard and Ruder 2018).
    epochs : int
    layer_decay : float
        Factor from the learning rate of a stage to that of the one below it.
    head_rate : float
        Learning rate of the head, by that of a stage without decay.
    """

    def __init__(
        self,
        stages: list[NetworkStage],
        mode: str,
        epochs: int,
        layer_decay: float,
        head_rate: float = 1.0,
    ) -> None:
        self.stages = stages
        self.epochs = epochs
        self.mode = mode
        self.rates = [*(layer_decay**k for k in reversed(range(1, len(stages)))), head_rate]
        last = len(stages) - 1
        if mode.startswith("last-") and int(mode[5:]) > last:
            raise UsageError(
                f"--unfreeze {mode}: the backbone has {last} stages: "
                f"{', '.join(s.name for s in stages[:-1])}.",
                hint="Ask for fewer, or --unfreeze all.",
            )

    def n_trained(self, epoch: int) -> int:
        """Stages trained in an epoch, counted from the head."""
        if self.mode == "head":
            return 1
        if self.mode.startswith("last-"):
            return int(self.mode[5:]) + 1
        if self.mode == "all":
            return len(self.stages)
        steps = max(1, self.epochs // 2)
        return min(len(self.stages), 1 + -(-epoch * (len(self.stages) - 1) // steps))

    @property
    def most(self) -> int:
        """Stages trained in the last epoch."""
        return self.n_trained(self.epochs)

    def apply(self, epoch: int) -> None:
        """Freeze and unfreeze parameters for an epoch, numbered from 0."""
        first = len(self.stages) - self.n_trained(epoch)
        for i, stage in enumerate(self.stages):
            for _, p in stage.parameters:
                p.requires_grad_(i >= first)
                if i < first:
                    p.grad = None


def set_modes(classifier: NetworkClassifier, *, training: bool, train_batch_norm: bool) -> None:
    """Training or evaluation; frozen parts, and batch normalisation unless asked, only evaluate."""
    classifier.train(training)
    for module in classifier.backbone.modules():
        own: list[Tensor] = list(module.parameters())
        frozen = bool(own) and not any(p.requires_grad for p in own)
        if frozen or (isinstance(module, _NORMS) and not train_batch_norm):
            module.eval()

"""Frozen stages computed once: what they say of each image is kept and played back in every step.

Only where it cannot differ from image to image and step to step: no augmentation, nothing mixed,
the same stages frozen throughout, and no statistics that move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from featx import console
from featx.config import FinetuneConfig
from featx.finetuning.classifier import NetworkClassifier
from featx.finetuning.task import Task
from featx.finetuning.unfreezing import NetworkStage, Unfreezing
from featx.types import FloatArray, IntArray

_BATCH = 32
_CLOSE = {"fp32": 1e-4, "bf16": 2e-2}  # of the largest number: batches of other sizes round so


def plan_replay(
    classifier: NetworkClassifier, unfreezing: Unfreezing, task: Task, config: FinetuneConfig
) -> Replay | None:
    """Compute the frozen stages once, where that is the same and fits into ``memory_mb``.

    Returns
    -------
    Replay or None
        None where they have to be computed in every step: what is trained or seen changes, later
        parts of the network look back at them, or there is too little memory.
    """
    changes = (
        config.augment != "none"
        or bool(config.mixup or config.cutmix)
        or config.train_batch_norm
        or unfreezing.mode in {"all", "gradual"}
    )
    frozen = unfreezing.stages[: len(unfreezing.stages) - unfreezing.most]
    if changes or not frozen:
        return None
    replay = Replay(classifier, frozen, unfreezing.mode == "head", task)
    rows = np.concatenate([task.training, task.validation])
    try:
        with torch.no_grad():
            expected = replay.look(rows[:2])
            replay.keep(rows[:2])
            size_bytes = replay.size_bytes // 2 * len(rows)
            if size_bytes > config.memory_mb * 10**6:
                console.detail(f"the frozen stages' {size_bytes:,} bytes are more than --memory-mb")
                return None
            found = replay.embed(rows[:2])
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        console.detail(f"the frozen stages are computed in every step: {error}")
        return None
    error_ = float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-30))
    if not error_ <= _CLOSE[task.precision]:
        console.detail(
            "the frozen stages are computed in every step: later stages use their outputs"
        )
        return None
    for start in console.each(range(0, len(rows), _BATCH), f"{task.name}, frozen stages"):
        replay.keep(rows[start : start + _BATCH])
    task.bank.forget()  # the same memory is not spent twice
    console.log(
        f"{task.name}: {console.counted(len(frozen), 'frozen stage')} computed once for "
        f"{console.counted(len(rows), 'image')} "
        f"({size_bytes / 1e6:,.0f} MB)."
    )
    return replay


class Replay:
    """What the frozen stages say of images, played back.

    Parameters
    ----------
    classifier : NetworkClassifier
    frozen : list of NetworkStage
        From the input on.
    whole : bool
        Whether that is the whole backbone: then its embeddings are kept.
    task : Task
    """

    def __init__(
        self, classifier: NetworkClassifier, frozen: list[NetworkStage], whole: bool, task: Task
    ) -> None:
        self.classifier = classifier
        self.task = task
        self.whole = whole
        self._modules = [module for stage in frozen for module in stage.modules]
        self._kept: dict[int, Tensor] = {}
        self._shapes: dict[int, torch.Size] = {}
        self._dtypes: dict[int, torch.dtype] = {}

    @property
    def size_bytes(self) -> int:
        """Of all that is kept."""
        return sum(kept.nbytes for kept in self._kept.values())

    @torch.no_grad()
    def look(self, rows: IntArray) -> Tensor:
        """Embeddings of images, computed from their pixels."""
        self.classifier.eval()
        pixels = torch.from_numpy(self.task.bank.plain(rows)).to(self.task.device)
        x = self.classifier.normalise(pixels).contiguous(memory_format=torch.channels_last)
        return self._run(x)

    def keep(self, rows: IntArray) -> None:
        """Remember what the frozen stages say of images."""
        taken: dict[int, Tensor] = {}

        def note(i: int, output: Any) -> None:
            if not isinstance(output, Tensor) or i in taken:
                raise ValueError("a frozen stage gives no tensor, or is called twice")
            # A copy of the one that is kept: what follows may overwrite it.
            taken[i] = output.clone() if i == len(self._modules) - 1 else output

        hooks = [
            module.register_forward_hook(lambda _m, _x, output, i=i: note(i, output))
            for i, module in enumerate(self._modules)
        ]
        try:
            embedding = self.look(rows)
        finally:
            for hook in hooks:
                hook.remove()
        last = embedding if self.whole else taken[len(self._modules) - 1]
        for i, output in taken.items():
            self._shapes[i], self._dtypes[i] = output.shape[1:], output.dtype
        for k, row in enumerate(rows.tolist()):
            self._kept[row] = last[k].clone()

    def scores(self, rows: IntArray) -> Tensor:
        """What the classifier says of images now, with gradients where it is trained."""
        return self.classifier.classify(self.embed(rows))

    def embed(self, rows: IntArray) -> Tensor:
        """Embeddings of images now."""
        kept = torch.stack([self._kept[row] for row in rows.tolist()])
        if self.whole:
            return kept
        height, width = self.task.bank.preprocess.size_px
        blank = torch.zeros(1, device=kept.device).expand(len(rows), 3, height, width)
        if kept.ndim == 4:
            kept = kept.contiguous(memory_format=torch.channels_last)
        with self._playing(kept):
            return self._run(blank)

    def predict(self, rows: IntArray) -> FloatArray:
        """Probabilities of classes, as `featx.finetuning.predict` gives them."""
        self.classifier.eval()
        with torch.no_grad():
            scores = [
                self.scores(rows[start : start + _BATCH]) for start in range(0, len(rows), _BATCH)
            ]
        return np.asarray(torch.softmax(torch.cat(scores).double(), dim=1).cpu().numpy())

    def _run(self, x: Tensor) -> Tensor:
        on = self.task.precision == "bf16"
        with torch.autocast(x.device.type, torch.bfloat16, enabled=on):
            (embedding,) = self.classifier.backbone(x)
        return embedding.float()

    @contextmanager
    def _playing(self, kept: Tensor) -> Iterator[None]:
        """The last frozen module gives what is kept; those before it give nothing."""

        def blank(i: int) -> Callable[..., Tensor]:
            shape = (len(kept), *self._shapes[i])
            dtype, device = self._dtypes[i], kept.device
            return lambda *_, **__: torch.zeros(shape, dtype=dtype, device=device)

        *before, last = self._modules
        try:
            for i, module in enumerate(before):
                _replace(module, blank(i))
            _replace(last, lambda *_, **__: kept)
            yield
        finally:
            for module in self._modules:
                module.__dict__.pop("forward", None)


def _replace(module: nn.Module, forward: Callable[..., Tensor]) -> None:
    module.__dict__["forward"] = forward

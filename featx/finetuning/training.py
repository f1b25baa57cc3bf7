"""The loop: steps, validation, the best epoch, checkpoints, and going on from one.

Several processes run it in step, each on its share of every batch: gradients, losses and
predictions are those of the whole, so that all decide alike. Process 0 writes, and asks the one
that started them.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featx import console
from featx.config import FinetuneConfig
from featx.engines._torch import is_out_of_memory
from featx.finetuning.averaging import Average
from featx.finetuning.batches import head_seed, order_rows, step_seed
from featx.finetuning.checkpoints import (
    load_optimizer,
    optimizer_tensors,
    read_snapshot,
    write_snapshot,
)
from featx.finetuning.classifier import NetworkClassifier
from featx.finetuning.distributed import ALONE, World
from featx.finetuning.feeding import Feed
from featx.finetuning.lora import freeze, merge
from featx.finetuning.losses import balanced_weights, soft_loss
from featx.finetuning.optimisers import build_optimizer, patience_of, rate_factor, set_rate
from featx.finetuning.predicting import predict
from featx.finetuning.recipes import resolve_rates
from featx.finetuning.replay import Replay, plan_replay
from featx.finetuning.task import Task, Trained, TrainingProgress
from featx.finetuning.unfreezing import set_modes
from featx.stats.losses import log_losses
from featx.stats.metrics import fold_score
from featx.types import FloatArray, IntArray

LAST, BEST = "last.safetensors", "best.safetensors"
EXPLODED = 10.0  # times the loss of the frozen model, or of guessing where that is larger
EARLY = 60  # steps that no mean takes in: weights are still on their way (docs/finetune.md)


class _Diverged(Exception):  # noqa: N818 - a signal
    """Losses or gradients are not finite any more, or far larger than at the beginning."""


class TrainingLoop:
    """One training under way."""

    def __init__(self, task: Task, config: FinetuneConfig, world: World = ALONE) -> None:
        self.task, self.world = task, world
        self.config = config = resolve_rates(config, task.backbone)
        self.classifier = NetworkClassifier(task.backbone, task.head, task.bank.preprocess)
        self.classifier.to(task.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.n_classes = len(task.head.layers[-1][1])
        self.unfreezing = freeze(self.classifier, task.bank.preprocess, config, task.seed)
        self.optimizer = build_optimizer(self.unfreezing, config)
        self.n_batches = -(-len(task.training) // config.train_batch)
        self.validates = len(task.validation) > 0
        self.average = self._new_average()
        self.progress = TrainingProgress()
        self.replay: Replay | None = None
        y = torch.from_numpy(task.y[task.training])
        balanced = config.class_weight == "balanced"
        weights = balanced_weights(y, self.n_classes) if balanced else None
        self.weights = None if weights is None else weights.to(task.device)
        self.feed = Feed(task, config, world)
        self.ticked_at = self.saved_at = time.perf_counter()

    def __enter__(self) -> TrainingLoop:
        return self

    def __exit__(self, *_: object) -> None:
        self.feed.close()

    def run(self) -> None:
        """All epochs that are left."""
        self.replay = plan_replay(self.classifier, self.unfreezing, self.task, self.config)
        if not self.progress.history:
            self._end_epoch()
        try:
            while not self.progress.stopped:
                self._epoch()
                self._end_epoch()
        except _Diverged as diverged:
            self.progress.stopped = str(diverged)
            self._save()
            kept = f"Epoch {self.progress.best_epoch}"
            if not self.validates:
                kept = "The network trained without the validation images"
            console.warn(
                f"{self.task.name}: training diverged in epoch {self.progress.epoch + 1}: "
                f"{diverged}. {kept} is kept. Try a smaller "
                f"--learning-rate than {self._highest_rate:g}, or --clip."
            )

    def _new_average(self) -> Average:
        """Of the weights as they are."""
        n_steps, share = self.n_batches * self.config.epochs, self.config.average_last
        early = EARLY if self.validates else 0  # a network that is trained already
        after = max(n_steps - round(share * n_steps), early) if share else None
        return Average(self.classifier, self.config.ema, after)

    def _tick(self) -> None:
        """Count the time since the last tick."""
        now = time.perf_counter()
        self.progress.elapsed_s += now - self.ticked_at
        self.progress.epoch_s += now - self.ticked_at
        self.ticked_at = now

    def _epoch(self) -> None:
        """The steps of one epoch that are left."""
        progress, task = self.progress, self.task
        if not progress.step and self.config.start == "random":
            self.classifier.forget_head(head_seed(task.seed))
            self.average = self._new_average()
        self.unfreezing.apply(progress.epoch)
        y = task.y[task.training]
        order = order_rows(y, progress.epoch, task.seed, balanced=self.config.balanced_sampling)
        batches = np.array_split(task.training[order], self.n_batches)
        left = batches[progress.position :]
        label = f"{task.name}, epoch {progress.epoch + 1} of {self.config.epochs}"
        with console.progress(sum(map(len, left)), label) as bar:
            played = self.replay is not None
            fed = zip(left, repeat(None)) if played else self.feed.batches(left, progress.step)
            for rows, pixels in fed:
                x, targets = self.feed.inputs(rows, pixels, progress.step, self.classifier)
                self._step(rows, x, targets)
                progress.position += 1
                bar.advance(len(rows))
                late = time.perf_counter() - self.saved_at > self.config.checkpoint_s
                if late and progress.position < len(batches):
                    self._save()

    def _step(self, rows: IntArray, x: Tensor | None, targets: Tensor) -> None:
        """One step of the optimiser, its images in as many parts as asked."""
        progress, config = self.progress, self.config
        set_modes(self.classifier, training=True, train_batch_norm=config.train_batch_norm)
        torch.manual_seed(step_seed(self.task.seed, progress.step, self.world.rank))
        progress.rate = self._rate()
        set_rate(self.optimizer, progress.rate)
        loss_sum, n_right = self._backward(rows, x, targets)
        progress.loss_sum += loss_sum
        progress.n_right += n_right
        progress.n_seen += len(rows)
        self._check_finite()
        self.optimizer.step()
        progress.step += 1
        self.average.update(progress.step)

    def _backward(self, rows: IntArray, x: Tensor | None, targets: Tensor) -> tuple[float, int]:
        """Gradients of the mean loss, in more parts where memory runs out; its sum, and hits."""
        own = rows[self.world.share(len(rows))]
        while True:
            n_parts = self.progress.parts or self.config.accumulate
            loss_sum, n_right, full = 0.0, 0, False
            try:
                loss_sum, n_right = self._backward_parts(own, x, targets, n_parts, len(rows))
            except RuntimeError as error:
                if not is_out_of_memory(error) or n_parts >= len(own):
                    raise
                full = True
            # All start again where one of them could not: gradients are added up once all can.
            loss_sum, hits, n_full = self.world.add(loss_sum, n_right, full)
            if not n_full:
                self.world.add_gradients(self.classifier.parameters())
                if self.config.train_batch_norm:
                    self.world.average_statistics(self.classifier, len(own) / len(rows))
                return loss_sum, int(hits)
            self.progress.parts = 2 * min(n_parts, -(-len(rows) // self.world.size))
            console.warn(
                f"out of memory on {self.task.device}; going on with a step's images in "
                f"{self.progress.parts} parts."
            )

    def _backward_parts(
        self, own: IntArray, x: Tensor | None, targets: Tensor, n_parts: int, n: int
    ) -> tuple[float, int]:
        """Gradients that this process's images add to those of the mean over all ``n``."""
        self.optimizer.zero_grad()
        y = torch.from_numpy(self.task.y[own]).to(self.task.device)
        loss_sum, n_right, gamma = 0.0, 0, self.config.focal
        n_parts = min(n_parts, len(own))
        for part in torch.arange(len(own)).tensor_split(n_parts) if n_parts else ():
            scores = self._scores(own[part.numpy()], None if x is None else x[part])
            losses = soft_loss(scores, targets[part], weights=self.weights, gamma=gamma)
            (losses.sum() / n).backward()
            loss_sum += float(losses.detach().sum())
            n_right += int((scores.argmax(dim=1) == y[part]).sum())
        return loss_sum, n_right

    def _scores(self, rows: IntArray, x: Tensor | None) -> Tensor:
        if x is None:
            assert self.replay is not None
            return self.replay.scores(rows)
        on = self.task.precision == "bf16"
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=on):
            scores: Tensor = self.classifier(x)
        return scores

    def _rate(self) -> float:
        """The learning rate of the next step."""
        total = self.n_batches * self.config.epochs
        losses = [row["validation_loss"] for row in self.progress.history]
        factor = rate_factor(self.config, self.progress.step, total, losses)
        return self._highest_rate * factor

    @property
    def _highest_rate(self) -> float:
        return float(self.config.learning_rate or 0)

    def _check_finite(self) -> None:
        """Clip gradients, and refuse to go on where something is not a number."""
        trained = [p for p in self.classifier.parameters() if p.grad is not None]
        limit = self.config.clip or math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(trained, limit))
        if not math.isfinite(self.progress.loss_sum):
            raise _Diverged("the loss is not finite")
        if not math.isfinite(norm):
            raise _Diverged("the gradient is not finite")

    def _end_epoch(self) -> None:
        """Validate, remember the best, decide whether to go on, and write it all down."""
        progress, task = self.progress, self.task
        with self.average.applied():
            self._note(*self._validate() if self.validates else (None, None))
            if progress.last_is_best(self.config.monitor):
                progress.best_epoch = len(progress.history) - 1
                self._write(BEST, self.classifier.state_dict(), {})
        if len(progress.history) > 1:
            progress.epoch, progress.position = progress.epoch + 1, 0
        progress.loss_sum, progress.n_seen, progress.n_right = 0.0, 0, 0
        monitor, patience = self.config.monitor, patience_of(self.config)
        if self.validates and progress.since_best(monitor) >= patience:
            progress.stopped = "patience"
        if progress.epoch >= self.config.epochs:
            progress.stopped = "epochs"
        for watcher in task.watchers:
            reason = watcher(progress.history)
            progress.stopped = progress.stopped or reason
        progress.stopped = self.world.from_leader(progress.stopped)
        self._save()

    def _validate(self) -> tuple[float, float]:
        """Loss and score of the validation images."""
        task = self.task
        probabilities = self._predict(task.validation)
        y = task.y[task.validation]
        finite = bool(np.isfinite(probabilities).all())
        loss = float(log_losses(y, probabilities).mean()) if finite else math.nan
        self._refuse_explosion(loss)
        return loss, fold_score(task.scoring, y, probabilities)

    @console.stage("Validating")
    def _predict(self, rows: IntArray) -> FloatArray:
        """What the network says of images, each process of its share of them."""
        own = rows[self.world.share(len(rows))]
        if not len(own):
            proba = np.zeros((0, self.n_classes))
        elif self.replay is not None:
            proba = self.replay.predict(own)
        else:
            proba = predict(self.classifier, self.task.bank, own, self.task.precision)
        return self.world.gather(proba, len(rows))

    def _refuse_explosion(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise _Diverged("the validation loss is not finite")
        if self.progress.history:
            first = self.progress.history[0]["validation_loss"]
            limit = EXPLODED * max(first, math.log(self.n_classes))
            if loss > limit:
                raise _Diverged(f"the validation loss rose from {first:.3g} to {loss:.3g}")

    def _note(self, loss: float | None, score: float | None) -> None:
        """Add a row to the history and tell it."""
        progress = self.progress
        begun = bool(progress.history)
        self._tick()
        seconds, progress.epoch_s = progress.epoch_s, 0.0
        row = {
            "epoch": len(progress.history),
            "step": progress.step,
            "train_loss": progress.loss_sum / progress.n_seen if begun else None,
            "train_accuracy": progress.n_right / progress.n_seen if begun else None,
            "validation_loss": loss,
            "validation_score": None if score is None or math.isnan(score) else score,
            "learning_rate": progress.rate if begun else None,
            "images_per_s": round(progress.n_seen / seconds, 2) if begun else None,
        }
        progress.history.append(row)
        name, validated = self.task.scoring, ""
        if loss is not None:
            validated = f"validation loss {loss:.4f}, {name} {score:.4f}, "
        if not begun:
            if validated:
                console.log(f"{self.task.name}: frozen: {validated[:-2]}")
            return
        epoch = len(progress.history) - 1
        minutes = (self.config.epochs - epoch) * seconds / 60
        console.log(
            f"{self.task.name}: epoch {epoch} of {self.config.epochs}: loss "
            f"{row['train_loss']:.4f}, {validated}rate {row['learning_rate']:.2g}, "
            f"{row['images_per_s']:.0f} images/s, at most {minutes:.1f} minutes left"
        )

    def _save(self) -> None:
        """Write everything that going on needs."""
        self._tick()
        tensors = {f"model.{k}": v for k, v in self.classifier.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.values.items()}
        tensors |= optimizer_tensors(self.optimizer)
        self._write(LAST, tensors, asdict(self.progress))
        self.saved_at = time.perf_counter()

    def _write(self, name: str, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
        """Write a checkpoint: all processes hold the same, and one writes it."""
        if self.world.leads:
            write_snapshot(self.task.folder / name, tensors, document)

    def restore(self, *, aloud: bool = True) -> None:
        """Go on from the last checkpoint, if there is one."""
        found, best = (read_snapshot(self.task.folder / n, aloud=aloud) for n in (LAST, BEST))
        if found is None or best is None:
            return
        tensors, document = found
        self.progress = TrainingProgress(**document)
        model = {k[6:]: v for k, v in tensors.items() if k.startswith("model.")}
        self.classifier.load_state_dict(model)
        for name, value in self.average.values.items():
            value.copy_(tensors[f"average.{name}"])
        load_optimizer(self.optimizer, tensors)
        if aloud and not self.progress.stopped:
            console.log(
                f"{self.task.name}: going on from a checkpoint, epoch {self.progress.epoch + 1}, "
                f"step {self.progress.step}."
            )

    def best(self) -> Trained:
        """The network as it was after its best epoch."""
        found = read_snapshot(self.task.folder / BEST)
        assert found is not None
        self.classifier.load_state_dict(found[0])
        merge(self.classifier.backbone)
        set_modes(self.classifier, training=False, train_batch_norm=False)
        self.classifier.requires_grad_(False)
        first = len(self.unfreezing.stages) - self.unfreezing.most
        stages = [
            {
                "name": stage.name,
                "n_parameters": stage.n_parameters,
                "learning_rate_share": share if i >= first else 0.0,
            }
            for i, (stage, share) in enumerate(
                zip(self.unfreezing.stages, self.unfreezing.rates, strict=True)
            )
        ]
        progress = self.progress
        return Trained(
            self.classifier,
            progress.history,
            progress.best_epoch,
            stages,
            progress.stopped,
            progress.elapsed_s,
        )

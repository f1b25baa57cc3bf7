"""The training loop: a function of (data, seed, step) alone, so that it resumes bit for bit.

Every process holds the same weights and optimiser, computes the gradient of its own part of the
batch, and averages it with the others'. Batch-normalisation statistics are those of process 0;
they do not enter the gradient.
"""

from __future__ import annotations

import signal
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import checkpoint
import numpy as np
import teacher
import torch
import torch.distributed as dist
import torch.nn.functional as F
from augment import augment, draw, normalise
from data import Split
from network import build_network
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """Everything that decides the weights, with the data and the teacher."""

    epochs: float = 36
    warmup_epochs: float = 2
    decay_epochs: float = 20
    grow_at: tuple[float, ...] = (14, 26)
    sizes_px: tuple[int, ...] = (32, 48, 64)
    batch: int = 128
    lr: float = 0.3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    distillation: float = 10.0
    seed: int = 0
    processes: int = 2
    precision: str = "bf16"
    compile: bool = False


def schedule(config: Config, step: int, steps_per_epoch: int) -> tuple[float, int]:
    """Return the learning rate and the input size in pixels of ``step``, counted from 0.

    The rate rises linearly, stays, and falls linearly to 0 over the last ``decay_epochs``. All is
    in epochs, not in shares of the run: until the decay begins, a run may still be made shorter or
    longer, and is then the same as if it had been started so. Small images come first, when most
    is learnt cheaply.
    """
    rise = (step + 1) / (config.warmup_epochs * steps_per_epoch)
    fall = (config.epochs * steps_per_epoch - step) / (config.decay_epochs * steps_per_epoch)
    grown = sum(step >= epoch * steps_per_epoch for epoch in config.grow_at)
    return config.lr * min(rise, 1.0, fall), config.sizes_px[grown]


class Student(nn.Module):
    """The network with the two heads that only training needs."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.network = build_network()
        self.classifier = nn.Linear(self.network.num_features, n_classes)
        self.projector = nn.Linear(self.network.num_features, teacher.WIDTH)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Turn input ``(n, 3, s, s)`` into class scores and predicted teacher features."""
        pooled = self.network(x)
        return self.classifier(pooled), self.projector(pooled)


class Trainer:
    """One process's part of a run; ``rank`` 0 also logs, measures and saves."""

    def __init__(
        self, config: Config, train: Split, val: Split, out: Path, rank: int, device: torch.device
    ) -> None:
        self.config, self.train, self.val, self.out = config, train, val, out
        self.rank, self.device = rank, device
        self.targets = np.load(out / "cache" / "teacher.npy", mmap_mode="r")
        torch.manual_seed(config.seed)
        student = Student(int(train.labels.max()) + 1)
        self.student = student.to(device).to(memory_format=torch.channels_last)
        self.forward = (
            torch.compile(self.student, dynamic=False) if config.compile else self.student
        )
        self.optimizer = self._optimizer()
        self.steps_per_epoch = len(train.labels) // config.batch
        self.total_steps = round(config.epochs * self.steps_per_epoch)
        self.step, self.elapsed_s = 0, 0.0
        # Two flags: all processes must stop after the same step, whenever the signal comes.
        self.interrupted = self.stop = False
        self.shuffled: tuple[int, Tensor] = (-1, torch.empty(0))

    def _optimizer(self) -> torch.optim.Optimizer:
        """Return SGD with Nesterov momentum; scales, shifts and biases are not decayed."""
        parameters = list(self.student.parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        c = self.config
        return torch.optim.SGD(
            groups, lr=c.lr, momentum=c.momentum, nesterov=True, weight_decay=c.weight_decay
        )

    def batch(self, size_px: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return this process's part of this step's batch: input, labels, teacher targets."""
        c = self.config
        epoch, position = divmod(self.step, self.steps_per_epoch)
        if self.shuffled[0] != epoch:
            generator = torch.Generator().manual_seed(_seed(c.seed, 0, epoch))
            self.shuffled = epoch, torch.randperm(len(self.train.labels), generator=generator)
        drawn = draw(c.batch, torch.Generator().manual_seed(_seed(c.seed, 1, self.step)))
        part = c.batch // c.processes
        start = self.rank * part
        rows = self.shuffled[1][position * c.batch + start :][:part].numpy()
        drawn = drawn.rows(start, start + part)
        images = torch.from_numpy(self.train.images[rows]).to(self.device)
        grids = torch.from_numpy(self.targets[rows]).to(self.device)
        labels = torch.from_numpy(self.train.labels[rows]).to(self.device)
        x = augment(images, drawn, size_px)
        targets = teacher.crop_targets(grids, drawn.boxes.to(self.device))
        return x.contiguous(memory_format=torch.channels_last), labels, targets

    def train_step(self) -> Tensor:
        """Take one step; return the batch's mean (loss, cross-entropy, mse, accuracy)."""
        lr, size_px = schedule(self.config, self.step, self.steps_per_epoch)
        x, labels, targets = self.batch(size_px)
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bf16"
        ):
            scores, predicted = self.forward(x)
        entropy = F.cross_entropy(scores.float(), labels)
        mse = F.mse_loss(predicted.float(), targets)
        loss = entropy + self.config.distillation * mse
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        accuracy = (scores.argmax(dim=1) == labels).float().mean()
        measured = torch.stack([loss.detach(), entropy.detach(), mse.detach(), accuracy])
        if self.config.processes > 1:
            measured = self._average(measured)
        else:
            self.stop = self.interrupted
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.step += 1
        return measured

    def _average(self, measured: Tensor) -> Tensor:
        """Average gradients and measurements over processes; stop in all if one is to stop."""
        gradients = [p.grad for p in self.student.parameters() if p.grad is not None]
        flag = torch.tensor([float(self.interrupted)])
        flat = torch.cat([g.flatten() for g in gradients] + [measured, flag])
        dist.all_reduce(flat)
        flat /= self.config.processes
        sizes = [g.numel() for g in gradients] + [len(measured), 1]
        *averaged, measured, flag = flat.split(sizes)
        for gradient, average in zip(gradients, averaged, strict=True):
            gradient.copy_(average.view(gradient.shape))
        self.stop = bool(flag.item() > 0)
        # A copy: a view would keep all gradients of the step alive for as long as it is kept.
        return measured.clone()

    @torch.inference_mode()
    def accuracy(self, limit: int | None = None) -> float:
        """Return top-1 accuracy on the first ``limit`` images of a fixed shuffle of ``val``."""
        order = np.random.default_rng(0).permutation(len(self.val.labels))[:limit]
        self.student.eval()
        correct = 0
        for rows in np.array_split(order, max(1, len(order) // 200)):
            x = normalise(torch.from_numpy(self.val.images[rows]).to(self.device).float() / 255)
            with torch.autocast(self.device.type, dtype=torch.bfloat16):
                scores, _ = self.student(x.contiguous(memory_format=torch.channels_last))
            correct += int((scores.argmax(dim=1).cpu().numpy() == self.val.labels[rows]).sum())
        self.student.train()
        return correct / len(order)

    def save(self) -> None:
        """Write the checkpoint from which ``resume`` continues as if never interrupted."""
        state = {
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "config": _plain(self.config),
        }
        checkpoint.save(self.out / "checkpoint.pt", state)

    def resume(self) -> None:
        """Load the checkpoint, if there is one; raise ValueError if it is of another run.

        The schedule may have changed if no step taken so far would have been another.
        """
        path = self.out / "checkpoint.pt"
        if not path.exists():
            return
        state = checkpoint.load(path)
        if not self._continues(state["config"], state["step"]):
            raise ValueError(f"{path} was made with other settings: {state['config']}")
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]

    def _continues(self, saved: dict[str, Any], step: int) -> bool:
        """Return whether this run would have taken the first ``step`` steps of the saved one."""
        fields: dict[str, Any] = dict(saved)
        fields |= {k: tuple(v) for k, v in saved.items() if isinstance(v, list)}
        before, now = Config(**fields), self.config
        names = ("epochs", "warmup_epochs", "decay_epochs", "grow_at")
        if replace(before, **{name: getattr(now, name) for name in names}) != now:
            return False
        n = self.steps_per_epoch
        return all(schedule(before, s, n) == schedule(now, s, n) for s in range(step))

    def run(self, save_every_s: float, log_every: int) -> bool:
        """Train to the end or to SIGTERM or SIGINT; return whether the end was reached."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "interrupted", True))
        log = checkpoint.Log(self.out / "log.jsonl", self.step) if self.rank == 0 else None
        rows: list[Tensor] = []
        started = saved = logged = time.monotonic()
        before_s = self.elapsed_s
        self.student.train()
        while self.step < self.total_steps and not self.stop:
            rows.append(self.train_step())
            now = time.monotonic()
            self.elapsed_s = before_s + now - started
            if log is None:
                rows.clear()
                continue
            if self.step % log_every == 0 or self.step == self.total_steps:
                row = self._row(torch.stack(rows).mean(dim=0), len(rows) / (now - logged))
                if self.step % self.steps_per_epoch < log_every:
                    row["val_accuracy"] = round(self.accuracy(limit=2000), 4)
                log.add(row)
                rows, logged = [], time.monotonic()
            if now - saved > save_every_s:
                self.save()
                saved = time.monotonic()
        if self.rank == 0:
            self.save()
        return self.step == self.total_steps

    def _row(self, measured: Tensor, steps_per_s: float) -> dict[str, Any]:
        """Return one row of the log."""
        loss, entropy, mse, accuracy = (round(v, 4) for v in measured.tolist())
        return {
            "step": self.step,
            "of": self.total_steps,
            "epoch": round(self.step / self.steps_per_epoch, 2),
            "size_px": schedule(self.config, self.step - 1, self.steps_per_epoch)[1],
            "lr": round(self.optimizer.param_groups[0]["lr"], 5),
            "loss": loss,
            "cross_entropy": entropy,
            "distillation_mse": mse,
            "accuracy": accuracy,
            "images_per_s": round(steps_per_s * self.config.batch, 1),
            "elapsed_s": round(self.elapsed_s, 1),
        }


def _plain(config: Config) -> dict[str, Any]:
    """Return the configuration as numbers, strings and lists."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()}


def _seed(seed: int, purpose: int, number: int) -> int:
    """Return one 63-bit seed of (seed, purpose, epoch or step): streams that do not meet."""
    words = np.random.SeedSequence([seed, purpose, number]).generate_state(2, np.uint32)
    return int(words[0]) << 31 ^ int(words[1])

"""Fine-tuning: images a second of featx's training against plain torch, and bf16 against fp32.

    python benchmarks/finetune.py [--images 96] [--rounds 3] [--network "lite0 at 128 px"]

One epoch of ``featx finetune`` (crops of images that are in memory, the step, clipping, AdamW)
against plain loops with the same network, batch size, optimiser and precision: one that makes the
same crops of the same decoded images (plain_loop.py, channels last), and two without any, on a
tensor that is already in memory, with torch's defaults and with channels last. Networks have random
weights, which cost the same as trained ones. The sides run in turn (A B C A B C), each in a process
of its own, so that ratios are within one round. Beside it, frozen stages computed once
(``--unfreeze last-1 --augment none``) against computed in every step. What bf16 gives depends on
the processor: without AMX or AVX-512 bf16 it is emulated.
Writes benchmarks/results/finetune.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from measuring import asked, keep, machine

RESULTS = Path(__file__).parent / "results" / "finetune.json"
NETWORKS: dict[str, tuple[str, int | None]] = {
    "lite0 at 128 px": ("featx:lite0", 128),
    "resnet18": ("timm:resnet18", None),
    "squeezenet1_0": ("torchvision:squeezenet1_0", None),
}
CROPS = "plain, same crops"
SIDES = ("featx", CROPS, "plain", "plain, channels last")
N_CLASSES, BATCH, WARM_UP = 10, 32, 1
KEYS = "per_s", "per_cpu_s"
CACHING = ("frozen stages computed once", "frozen stages in every step")

#: Images a second, by ``KEYS``.
Rates = dict[str, float]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=96, help="an epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--network", action="append", choices=tuple(NETWORKS))
    parser.add_argument("--precision", action="append", choices=("fp32", "bf16"))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = asked(parser)
    if options.quick:
        options.images, options.rounds, options.network = 4, 1, ["squeezenet1_0"]
    if options.child:
        print(json.dumps(measure(*options.child, options.images)))
        return
    networks = json.loads(RESULTS.read_text())["networks"] if RESULTS.exists() else {}
    for name in options.network or NETWORKS:
        found = networks.setdefault(name, {})
        for precision in options.precision or ["fp32", "bf16"]:
            found[precision] = compare(name, precision, options.images, options.rounds)
        if {"fp32", "bf16"} <= found.keys():
            both = [found[p]["sides"]["featx"]["per_cpu_s"]["median"] for p in ("bf16", "fp32")]
            found["featx bf16 / featx fp32, processor time"] = round(both[0] / both[1], 3)
    document = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "batch": BATCH,
        "networks": networks,
    }
    keep(RESULTS, document, quick=options.quick)
    print(table(document))


def table(document: dict[str, Any]) -> str:
    """The ratios as Markdown: by the clock, each round's; by processor time, the median."""
    pairs = [f"featx / {side}" for side in SIDES[1:]] + [" / ".join(CACHING)]
    lines = [f"| network | images | {' | '.join(pairs)} |", "|---" * (len(pairs) + 2) + "|"]
    for name, network in document["networks"].items():
        for precision in ("fp32", "bf16"):
            if precision in network:
                found = network[precision]
                cells = [_cell(found["ratios"].get(pair)) for pair in pairs]
                lines.append(f"| {name}, {precision} | {found['images']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(found: dict[str, list[float]] | None) -> str:
    if found is None:
        return ""
    rounds = ", ".join(f"{ratio:.2f}" for ratio in found["per_s"])
    return f"{rounds} ({statistics.median(found['per_cpu_s']):.2f})"


def compare(name: str, precision: str, n: int, rounds: int) -> dict[str, Any]:
    """All sides of one network, in turn."""
    wanted = SIDES + (CACHING if precision == "fp32" else ())
    rates: dict[str, list[Rates]] = {side: [] for side in wanted}
    for _ in range(rounds):
        for side in wanted:
            rates[side].append(child(name, side, precision, n))
            print(f"{name}, {precision}, {side}: {rates[side][-1]}", flush=True)
    pairs = [("featx", side) for side in SIDES[1:]] + ([CACHING] if CACHING[0] in rates else [])
    found = {
        "images": n,
        "rounds": rounds,
        "sides": {side: summary(values) for side, values in rates.items()},
        "ratios": {f"{a} / {b}": ratios(rates[a], rates[b]) for a, b in pairs},
    }
    print(json.dumps(found["ratios"], indent=1), flush=True)
    return found


def summary(rates: list[Rates]) -> dict[str, Any]:
    """Images a second of the clock, and of the processor (all cores together)."""
    return {
        key: {
            "median": round(statistics.median(r[key] for r in rates), 3),
            "all": [round(r[key], 3) for r in rates],
        }
        for key in KEYS
    }


def ratios(a: list[Rates], b: list[Rates]) -> dict[str, list[float]]:
    """Of each round; by the clock, and by processor time, which other programs disturb less."""
    return {key: [round(x[key] / y[key], 3) for x, y in zip(a, b, strict=True)] for key in KEYS}


def child(name: str, side: str, precision: str, n: int) -> Rates:
    """One side, in a process of its own."""
    command = [sys.executable, __file__, "--images", str(n), "--child", name, side, precision]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    found: Rates = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(name: str, side: str, precision: str, n: int) -> Rates:
    """Images a second."""
    network, preprocess = load(name)
    if side.startswith("plain"):
        return plain(network, preprocess, precision, n, side)
    return featx(network, preprocess, precision, n, side)


def load(name: str) -> tuple[Any, Any]:
    """A network with random weights that gives a tuple of one embedding."""
    from featx.backbones import load_backbone
    from featx.types import BackboneRequest

    backbone_name, size = NETWORKS[name]
    backbone = load_backbone(BackboneRequest(backbone_name, pretrained=False, size_px=size))
    return backbone.network, backbone.preprocess


def plain(
    network: Any, preprocess: Any, precision: str, n: int, side: str, device: str = "cpu"
) -> Rates:
    """The loop that everybody writes."""
    import torch
    from plain_loop import Pictures, Plain

    size = preprocess.size_px
    with torch.no_grad():
        width = network.eval()(torch.zeros(1, 3, *size))[0].shape[1]
    head = torch.nn.Linear(width, N_CLASSES).to(device)
    last = side in (CROPS, SIDES[-1])
    format_ = torch.channels_last if last else torch.contiguous_format
    network.to(device, memory_format=format_).train()
    for module in network.modules():  # featx leaves these statistics alone too
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    parameters = [*network.requires_grad_(True).parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)
    x = torch.randn(n, 3, *size).contiguous(memory_format=format_).to(device)
    y, rng = torch.arange(n, device=device) % N_CLASSES, np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        paths = photographs(Path(folder), n) if side == CROPS else []
        pictures = Pictures(paths, preprocess)

    def step(start: int) -> None:
        optimizer.zero_grad()
        rows = range(start, min(start + BATCH, n))
        batch = pictures.augmented(rows, Plain(), rng) if side == CROPS else x[rows.start :][:BATCH]
        batch = batch.to(device, non_blocking=True)
        with torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=precision == "bf16"):
            scores = head(network(batch)[0])
        loss = torch.nn.functional.cross_entropy(scores.float(), y[start : start + BATCH])
        loss.backward()
        optimizer.step()

    def epoch() -> None:
        for start in range(0, n, BATCH):
            step(start)
        if device != "cpu":
            torch.cuda.synchronize(device)

    return rate(epoch, n)


def featx(
    network: Any, preprocess: Any, precision: str, n: int, side: str, device: str = "cpu"
) -> Rates:
    """What ``featx finetune`` runs in an epoch."""
    import torch

    from featx import console
    from featx.config import FinetuneConfig
    from featx.finetuning import HeadWeights, ImageBank, Task
    from featx.finetuning.memory import keeping_memory
    from featx.finetuning.training import TrainingLoop

    console.set_verbosity(-1)
    with torch.no_grad():
        width = network.eval()(torch.zeros(1, 3, *preprocess.size_px))[0].shape[1]
    options: dict[str, Any] = {"epochs": 9, "train_batch": BATCH, "checkpoint_s": 10**6}
    if side in CACHING:
        options |= {"unfreeze": "last-1", "augment": "none"}
        options |= {"memory_mb": 8000 if side == CACHING[0] else 1000}
    rng = np.random.default_rng(0)
    head = HeadWeights(
        np.zeros(width),
        np.ones(width),
        [(rng.normal(size=(N_CLASSES, width)) / width, np.zeros(N_CLASSES))],
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bank = stack.enter_context(bank_of(folder, preprocess, n, ImageBank))
        task = Task(
            name="x",
            backbone=network,
            head=head,
            bank=bank,
            y=np.arange(n) % N_CLASSES,
            training=np.arange(n),
            validation=np.arange(4),
            folder=folder / "work",
            device=device,
            precision=precision,
            scoring="accuracy",
            seed=0,
            upright=True,
        )
        stack.enter_context(keeping_memory(device))
        training = stack.enter_context(TrainingLoop(task, FinetuneConfig(**options)))
        if side == CACHING[0]:
            from featx.finetuning.replay import plan_replay

            training.replay = plan_replay(
                training.classifier, training.unfreezing, task, training.config
            )
            assert training.replay is not None

        def epoch() -> None:
            training.progress.position = 0
            training._epoch()

        return rate(epoch, n)


def bank_of(folder: Path, preprocess: Any, n: int, bank: Callable[..., Any]) -> Any:
    """Photographs as featx reads them."""
    from contextlib import closing

    from featx.data.hashing import content_hash
    from featx.machine import cpu_cores

    paths = photographs(folder, n)
    hashes = np.frombuffer(b"".join(content_hash(p.read_bytes()) for p in paths), np.uint8)
    named = [str(path) for path in paths]
    return closing(
        bank(
            named,
            hashes.reshape(-1, 32),
            preprocess,
            memory_bytes=10**9,
            threads=cpu_cores(),
        )
    )


def photographs(folder: Path, n: int) -> list[Path]:
    """Noise over gradients, 240 by 320, as JPEG."""
    from PIL import Image

    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 160, 320)[None, :, None] * np.ones((240, 1, 3))
    paths = [folder / f"{i}.jpg" for i in range(n)]
    for path in paths:
        pixels = (ramp + rng.integers(0, 96, (240, 320, 3))).astype(np.uint8)
        Image.fromarray(pixels).save(path, quality=85)
    return paths


def rate(epoch: Callable[[], Any], n: int) -> Rates:
    """Images a second of an epoch after ``WARM_UP`` others."""
    for _ in range(WARM_UP):
        epoch()
    started, cpu = time.perf_counter(), time.process_time()
    epoch()
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {"per_s": n / elapsed, "per_cpu_s": n / cpu}


if __name__ == "__main__":
    main()

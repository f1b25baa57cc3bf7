"""Pretrain featx:mini-v1 on Tiny ImageNet, with SqueezeNet's ImageNet features as a teacher.

    python recipes/embedded/pretrain.py --data FILE_OR_FOLDER --teacher FILE --out DIR

The same command continues an interrupted run. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from pathlib import Path

# Threads that spin while they wait slow down whatever else the machine does. Read at import.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import checkpoint
import data
import teacher
import torch
import torch.distributed as dist
from evaluate import tabulate
from network import specification
from safetensors.torch import save as to_safetensors
from train import Config, Trainer

INTERRUPTED = 130
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    default = Config()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="Tiny ImageNet: an HDF5 file or its folder")
    add("--teacher", type=Path, required=True, help="SqueezeNet 1.0 weights, safetensors")
    add("--out", type=Path, required=True, help="folder of checkpoint, log, cache and weights")
    add("--epochs", type=float, default=default.epochs)
    add("--warmup-epochs", type=float, default=default.warmup_epochs)
    add("--decay-epochs", type=float, default=default.decay_epochs, help="of falling rate, last")
    add("--grow-at", type=float, nargs=2, default=default.grow_at, help="epochs of 48 and 64 px")
    add("--batch", type=int, default=default.batch, help="images a step, over all processes")
    add("--lr", type=float, default=default.lr)
    add("--distillation", type=float, default=default.distillation, help="weight of the teacher")
    add("--seed", type=int, default=default.seed)
    add("--processes", type=int, default=default.processes, help="1 on a GPU")
    add("--precision", choices=("bf16", "fp32"), default=default.precision)
    add("--compile", action="store_true", help="torch.compile: faster, needs a C++ compiler")
    add("--device", default="cpu", help="cpu or cuda")
    add("--save-every-s", type=float, default=300.0)
    add("--log-every", type=int, default=50, help="steps")
    add("--evaluate", type=Path, metavar="IMAGES", help="do not train: print the card's table")
    return parser.parse_args(argv)


def configure(args: argparse.Namespace) -> Config:
    """Return what the command line decides of the training."""
    if args.batch % args.processes:
        raise SystemExit("--batch must be a multiple of --processes")
    if args.device != "cpu" and args.processes > 1:
        raise SystemExit("on a GPU pass --processes 1")
    return Config(
        epochs=args.epochs,
        warmup_epochs=args.warmup_epochs,
        decay_epochs=args.decay_epochs,
        grow_at=tuple(args.grow_at),
        batch=args.batch,
        lr=args.lr,
        distillation=args.distillation,
        seed=args.seed,
        processes=args.processes,
        precision=args.precision,
        compile=args.compile,
    )


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory, as far as the C library is glibc.

    By default every large tensor is mapped from the system and given back, and half of the
    processor's time goes into zeroing pages.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option, value in ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, 32 << 20), (M_TRIM_THRESHOLD, -1)):
        mallopt(option, value)


def work(rank: int, args: argparse.Namespace, config: Config, rendezvous: str) -> None:
    """Train as process ``rank``; process 0 writes the weights when the last step is done."""
    keep_freed_memory()
    if config.processes > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // config.processes))
        store = dist.FileStore(rendezvous, config.processes)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=config.processes)
    cache = args.out / "cache"
    train, val = (data.load(args.data, split, cache) for split in data.SPLITS)
    trainer = Trainer(config, train, val, args.out, rank, torch.device(args.device))
    trainer.resume()
    finished = trainer.run(args.save_every_s, args.log_every)
    if rank == 0 and finished:
        export(trainer, args)
    if config.processes > 1:
        dist.destroy_process_group()
    if not finished:
        raise SystemExit(INTERRUPTED)


def export(trainer: Trainer, args: argparse.Namespace) -> None:
    """Write the weights in fp16, rounded before they are measured, and what the run was."""
    student = trainer.student
    for tensor in (*student.parameters(), *student.buffers()):
        if tensor.is_floating_point():
            tensor.data.copy_(tensor.data.half())
    state = {
        name: (t.half() if t.is_floating_point() else t).cpu().contiguous()
        for name, t in student.network.state_dict().items()
    }
    weights = to_safetensors(state)
    checkpoint.write_atomically(args.out / "mini-v1.safetensors", lambda f: f.write(weights))
    described = (json.dumps(specification(weights), indent=2) + "\n").encode()
    checkpoint.write_atomically(args.out / "mini-v1.json", lambda f: f.write(described))
    summary = {
        "command": shlex.join(["python", *sys.argv]),
        "epochs": trainer.config.epochs,
        "steps": trainer.step,
        "train_images": len(trainer.train.labels),
        "images_seen": trainer.step * trainer.config.batch,
        "training_s": round(trainer.elapsed_s, 1),
        "tiny_imagenet_val_accuracy": trainer.accuracy(),
        "tiny_imagenet_val_images": len(trainer.val.labels),
        "seed": trainer.config.seed,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": os.cpu_count(),
        "device": args.device,
        "finished": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
    text = (json.dumps(summary, indent=2) + "\n").encode()
    checkpoint.write_atomically(args.out / "summary.json", lambda f: f.write(text))
    print(text.decode(), flush=True)


def main() -> None:
    """Prepare the caches, then train in one or several processes."""
    args = parse()
    if args.evaluate:
        tabulate(args.out / "mini-v1.safetensors", args.teacher, args.evaluate, args.out)
        return
    config = configure(args)
    cache = args.out / "cache"
    train, _ = (data.load(args.data, split, cache) for split in data.SPLITS)
    teacher.cache_targets(args.teacher, train.images, cache, torch.device(args.device))
    context = torch.multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = str(Path(folder) / "rendezvous")
        others = [
            context.Process(target=work, args=(rank, args, config, rendezvous), daemon=True)
            for rank in range(1, config.processes)
        ]
        for process in others:
            process.start()
        work(0, args, config, rendezvous)
        for process in others:
            process.join()


if __name__ == "__main__":
    main()

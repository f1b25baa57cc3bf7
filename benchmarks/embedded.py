"""Images a second that the embedded backbone embeds, next to two networks that need a download.

    python benchmarks/embedded.py [--threads 2] [--seconds 10]

Runtime: a minute. The networks take turns and every figure is the best of its turns, because other
work on the machine can only slow a turn down. ResNet-50 and MobileNetV3 have random weights, which
cost the same. Writes ``benchmarks/results/embedded.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from measuring import asked, keep, load_average
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "recipes" / "embedded"))

import network  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "embedded.json"
BATCH = 32
TURNS = 12
OTHERS = {"resnet50": 224, "mobilenetv3_large_100": 224}


class Embedded(nn.Module):
    """The embedded backbone with random weights, from its input to its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network.build_network()

    def forward(self, x: Tensor) -> Tensor:
        """Embed ``(n, 3, s, s)``."""
        return network.embed(self.network, x)


def contestants() -> dict[str, tuple[nn.Module, int]]:
    """Return the networks by name, each with its input size in pixels."""
    networks: dict[str, tuple[nn.Module, int]] = {
        "featx:mini-v1": (Embedded(), network.SIZES_PX[0])
    }
    for name, size_px in OTHERS.items():
        networks[f"timm:{name}"] = timm.create_model(name, num_classes=0), size_px
    return networks


def rate(forward: Callable[[Tensor], Tensor], x: Tensor, seconds: float) -> float:
    """Return images a second over about ``seconds``."""
    started, batches = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        forward(x)
        batches += 1
    return batches * len(x) / (time.perf_counter() - started)


def measure(precision: str, seconds: float) -> dict[str, dict[str, float]]:
    """Return ``images_per_s`` (best turn) and the input's size by network."""
    inputs, best = {}, {}
    for name, (module, size_px) in contestants().items():
        module.eval().to(memory_format=torch.channels_last)
        x = torch.randn(BATCH, 3, size_px, size_px).contiguous(memory_format=torch.channels_last)
        inputs[name], best[name] = (module, x), 0.0
    enabled = precision == "bf16"
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        for module, x in inputs.values():
            module(x)
        for _ in range(TURNS):
            for name, (module, x) in inputs.items():
                best[name] = max(best[name], rate(module, x, seconds / TURNS))
    return {
        name: {"size_px": x.shape[-1], "images_per_s": round(best[name], 1)}
        for name, (_, x) in inputs.items()
    }


def main() -> None:
    """Measure in both precisions and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="for each network and precision"
    )
    args = asked(parser)
    if args.quick:
        args.seconds = 0.1
        globals().update(BATCH=2, TURNS=1, OTHERS={"test_resnet": 64})
    torch.set_num_threads(args.threads)
    result = {
        "benchmark": "embedded",
        "batch": BATCH,
        "threads": args.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "load_before": round(load_average(), 2),
        "precisions": {p: measure(p, args.seconds) for p in ("bf16", "fp32")},
    }
    keep(RESULT, result, quick=args.quick)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

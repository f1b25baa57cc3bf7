"""More sides of gpu.py: search, fine-tuning, and what might make the forward pass faster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from gpu_sides import forward_only, prepared, rate_of, say, side, synchronise


@side
def search(device: str, images: int, features: int, points: int) -> None:
    """A search for a logistic regression on made embeddings, with its products on a device."""
    from featx import console
    from featx.config import FitConfig
    from featx.fitting import FitData, fit_heads

    console.set_verbosity(-1)
    rng = np.random.default_rng(0)
    codes = np.arange(images) % 10
    centres = rng.normal(size=(10, features)) * 0.2
    X = (centres[codes] + rng.normal(size=(images, features))).astype(np.float32)
    hashes = np.zeros((images, 32), np.uint8)
    hashes[:, :8] = np.arange(images, dtype="<u8").view(np.uint8).reshape(-1, 8)
    names = [str(i) for i in range(images)]
    data = FitData({"embeddings": X}, np.char.add("class ", codes.astype(str)), names, hashes)
    config = FitConfig(
        head=["logreg"],
        estimate="cv",
        cv=3,
        param_grid={"logreg": {"C": list(np.geomspace(1e-4, 1e-1, points))}},
        search_device=device,
    )
    started = time.perf_counter()
    found = fit_heads(data, config)
    chosen = found.candidates[0]
    say(elapsed_s=round(time.perf_counter() - started, 2), score=chosen.cv_mean, C=chosen.params)


@side
def finetune(
    network: str, device: str, precisions: Iterable[str], images: int, size: int | None = None
) -> None:
    """An epoch of ``featx finetune``, and of the plain loop with the same crops and without any."""
    import finetune as sides

    from featx import console
    from featx.backbones import load_backbone
    from featx.types import BackboneRequest

    console.set_verbosity(-1)
    for precision in precisions:
        figures = {}
        for name in sides.SIDES:
            request = BackboneRequest(network, pretrained=False, size_px=size)
            backbone = load_backbone(request)
            measure = sides.plain if name.startswith("plain") else sides.featx
            given = backbone.network, backbone.preprocess, precision, images, name, device
            figures[name] = {key: round(rate, 2) for key, rate in measure(*given).items()}
            say(**{precision: figures})


@side
def layout(
    network: str,
    manifest: str,
    device: str,
    precision: str,
    scratch: str,
    seconds: float,
    streams: Iterable[int],
    batch_sizes: Iterable[int],
) -> None:
    """What other numbers of streams and other batch sizes give."""
    import featx.engines.torch as plugin
    from featx.extraction import run_extractors

    for n in streams:
        for size in batch_sizes:
            plugin._STREAMS_PER_GPU = n
            cache = f"{scratch}/layout-{n}-{size}"
            rows, extractor, config = prepared(
                network, manifest, device, precision, cache, batch_size=size
            )
            forward = forward_only(extractor, seconds)
            started = time.perf_counter()
            run_extractors(rows, [extractor], config)
            per_s = len(rows) / (time.perf_counter() - started)
            figures = {"forward_only_per_s": round(forward, 1), "per_s": round(per_s, 1)}
            say(**{f"{n} streams, batches of {size}": figures})


@side
def graphs(
    network: str, device: str, precision: str, seconds: float, batch_size: int, compiled: bool
) -> None:
    """One stream's forward pass: as it is, as a CUDA graph, and compiled."""
    import timm
    import torch

    model: Any = timm.create_model(network, pretrained=False, num_classes=0).eval()
    model = model.to(device, memory_format=torch.channels_last)
    side_px = timm.data.resolve_model_data_config(model)["input_size"][1]
    x = torch.randn(batch_size, 3, side_px, side_px, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    autocast = torch.autocast(
        device.partition(":")[0], dtype, enabled=dtype is not None, cache_enabled=False
    )
    ways: dict[str, Callable[[], Callable[[], Any]]] = {"eager": lambda: lambda: model(x)}
    if device.startswith("cuda"):
        ways["CUDA graph"] = lambda: _captured(lambda: model(x))
    if compiled:
        ways["torch.compile"] = lambda: _compiled(model, x)
    with torch.inference_mode(), autocast:
        for name, way in ways.items():
            started = time.perf_counter()
            try:
                work = way()
                work()
                synchronise(device)
                start_s = time.perf_counter() - started
                per_s = rate_of(work, batch_size, seconds, device)
            except Exception as error:  # no compiler, or a network that cannot be captured
                say(**{name: {"failed": f"{type(error).__name__}: {error}"[:300]}})
                continue
            say(**{name: {"per_s": round(per_s, 1), "start_s": round(start_s, 2)}})


def _captured(forward: Callable[[], Any]) -> Callable[[], Any]:
    """The kernels of a forward pass, launched together."""
    import torch

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            forward()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        forward()
    return graph.replay


def _compiled(model: Any, x: Any) -> Callable[[], Any]:
    import torch

    fast = torch.compile(model)
    return lambda: fast(x)

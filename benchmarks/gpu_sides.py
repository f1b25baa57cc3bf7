"""The sides of gpu.py, each in a process of its own; figures are printed as soon as they are known.

    python benchmarks/gpu_sides.py NAME '{"option": value, ...}'

Every line of the output is one JSON object, so that a process that is cut off has told what it
found. The device may be the CPU, with tiny sizes: that is how the tests run them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

SIDES: dict[str, Callable[..., None]] = {}


def side(function: Callable[..., None]) -> Callable[..., None]:
    """What a process may be asked for."""
    SIDES[function.__name__] = function
    return function


def say(**figures: Any) -> None:
    """Tell what is known by now."""
    print(json.dumps(figures), flush=True)


def synchronise(device: str) -> None:
    """Wait until a GPU has done what it was given."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def peaks(device: str) -> dict[str, float]:
    """Most memory so far, in MB; of a GPU since the last call."""
    import torch
    from measuring import memory_mb

    found = {"host_mb": round(memory_mb("VmHWM"))}
    if device.startswith("cuda"):
        found["gpu_mb"] = round(torch.cuda.max_memory_allocated(device) / 2**20)
        torch.cuda.reset_peak_memory_stats(device)
    return found


def prepared(
    network: str, manifest: str, device: str, precision: str, cache: str, **options: Any
) -> tuple[Any, Any, Any]:
    """Rows, an extractor whose engine is built, and its settings."""
    from featx import console
    from featx.config import DatasetConfig, ExtractConfig
    from featx.data.reader import read_manifest
    from featx.extraction import Extractor

    console.set_verbosity(-1)
    config = ExtractConfig(
        backbone=[network],
        pretrained=network.startswith("featx:"),
        cache=cache,
        engine="torch",
        device=device,
        precision=precision,
        offline=True,
        **options,
    )
    root = str(Path(manifest).parent / "images")
    rows = read_manifest(DatasetConfig(dataset=manifest, root=root))
    [request] = config.requests()
    extractor = Extractor.from_request(request, config, rows.paths)
    extractor.start()
    return rows, extractor, config


def rate_of(work: Callable[[], Any], images: int, seconds: float, device: str) -> float:
    """Images a second of repeated ``work``, which takes ``images`` each time."""
    for _ in range(2):
        work()
    synchronise(device)
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        work()
        done += images
    synchronise(device)
    return done / (time.perf_counter() - started)


def forward_only(extractor: Any, seconds: float) -> float:
    """Images a second of the engine, from as many threads as it serves at once."""
    engine, size = extractor.plan.engine, extractor.plan.choice.batch_size
    shape = (size, *extractor.preprocess.size_px, 3)
    batch = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with ThreadPoolExecutor(engine.streams) as pool:

        def all_streams() -> None:
            list(pool.map(engine.embed, [batch] * engine.streams))

        return rate_of(all_streams, size * engine.streams, seconds, engine.device)


@side
def featx(
    network: str,
    manifest: str,
    device: str,
    scratch: str,
    seconds: float,
    precisions: Iterable[str],
) -> None:
    """Forward only and the whole pipeline with an empty cache, in each precision."""
    from featx.errors import FeatxError

    found: dict[str, np.ndarray] = {}
    for precision in precisions:
        cache = f"{scratch}/featx-{network.replace(':', '-')}-{precision}"
        try:
            found[precision] = _pipeline(network, manifest, device, precision, cache, seconds)
        except FeatxError as error:  # not here, or fp16 overflows: the others go on
            say(**{precision: {"refused": error.message}})
    if "fp32" in found:
        for precision in found.keys() - {"fp32"}:
            say(**{f"cosine of {precision} to fp32": cosines(found[precision], found["fp32"])})


def _pipeline(
    network: str, manifest: str, device: str, precision: str, cache: str, seconds: float
) -> Any:
    """Say the figures of one precision; its embeddings."""
    from featx.extraction import run_extractors

    started = time.perf_counter()
    rows, extractor, config = prepared(network, manifest, device, precision, cache)
    plan = extractor.plan
    figures: dict[str, Any] = {
        "start_s": round(time.perf_counter() - started, 2),
        "runs": plan.choice.short,  # the reference, where the numerics did not pass the check
        "agreement": plan.agreement and plan.agreement.document(),
        "batch_size": plan.choice.batch_size,
        "streams": plan.choice.streams,
        "forward_only_per_s": round(forward_only(extractor, seconds), 1),
    }
    say(**{precision: figures})
    started = time.perf_counter()
    [extraction] = run_extractors(rows, [extractor], config)
    per_s = len(rows) / (time.perf_counter() - started)
    report = extraction.report.document()
    figures |= {"per_s": round(per_s, 1), **peaks(device), "report": report}
    figures["of_forward_only"] = round(per_s / figures["forward_only_per_s"], 3)
    say(**{precision: figures})
    return extraction.X


def cosines(a: Any, b: Any) -> dict[str, float]:
    """Between rows."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    each = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return {"least": round(float(each.min()), 7), "mean": round(float(each.mean()), 7)}


class _Images:
    """What a DataLoader reads; here, so that other processes can be given it."""

    def __init__(self, paths: list[Path], transform: Any) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Any:
        from PIL import Image

        with Image.open(self.paths[i]) as image:
            return self.transform(image.convert("RGB"))


@side
def plain(
    network: str,
    manifest: str,
    device: str,
    precisions: Iterable[str],
    batch_size: int,
    workers: int,
    size: int | None = None,
) -> None:
    """The loop that everybody writes: DataLoader, autocast, channels last, pinned memory."""
    import timm
    import torch
    from timm.data import create_transform, resolve_model_data_config
    from torch.utils.data import DataLoader

    model = timm.create_model(network, pretrained=False, num_classes=0).eval()
    data = resolve_model_data_config(model)
    if size is not None:
        data["input_size"] = (3, size, size)
    model = model.to(device, memory_format=torch.channels_last)
    on_gpu = device.startswith("cuda")
    images = _Images(paths_of(manifest), create_transform(**data))
    for precision in precisions:
        loader: Any = DataLoader(
            images,  # type: ignore[arg-type]
            batch_size=batch_size,
            num_workers=workers,
            pin_memory=on_gpu,
        )
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
        if dtype == torch.float16 and not on_gpu:
            continue
        rows, started, waited = [], 0.0, 0.0
        started = time.perf_counter()  # starting the workers is part of what a user waits for
        with (
            torch.inference_mode(),
            torch.autocast(device.partition(":")[0], dtype, enabled=dtype is not None),
        ):
            for batch in loader:
                waited = waited or time.perf_counter() - started
                batch = batch.to(device, non_blocking=True, memory_format=torch.channels_last)
                rows.append(model(batch).float().cpu().numpy())
        elapsed = time.perf_counter() - started
        assert sum(map(len, rows)) == len(images)
        figures = {"per_s": round(len(images) / elapsed, 1), "first_batch_s": round(waited, 2)}
        say(**{precision: figures | peaks(device)})


def paths_of(manifest: str) -> list[Path]:
    """The files that a manifest lists."""
    folder = Path(manifest).parent / "images"
    return [folder / line for line in Path(manifest).read_text().split("\n")[1:] if line]


def _decoded(paths: list[Path], network: str) -> int:
    """Read, hash, decode and resize, as featx does."""
    from featx import console
    from featx.backbones import open_backbone
    from featx.data.hashing import content_hash, read_bytes
    from featx.data.pixels import read_pixels
    from featx.types import BackboneRequest

    console.set_verbosity(-1)
    request = BackboneRequest(network, pretrained=network.startswith("featx:"))
    preprocess = open_backbone(request).preprocess
    for path in paths:
        data = read_bytes(str(path))
        content_hash(data)
        read_pixels(data, preprocess)
    return len(paths)


@side
def decode(network: str, manifest: str, workers: int) -> None:
    """Decoding alone, in processes and in threads: where threads are slower, Python's lock is."""
    paths = paths_of(manifest)
    parts = [paths[i::workers] for i in range(workers)]
    names = [network] * workers
    for name, kind in (("processes", ProcessPoolExecutor), ("threads", ThreadPoolExecutor)):
        with kind(workers) as pool:
            list(pool.map(_decoded, [part[:2] for part in parts], names))
            started = time.perf_counter()
            rows = sum(pool.map(_decoded, parts, names))
            say(**{f"{name}_per_s": round(rows / (time.perf_counter() - started), 1)})
    say(workers=workers)


@side
def nvjpeg(network: str, manifest: str, device: str, limit: int) -> None:
    """How far torchvision's decoder on the GPU is from the reference, and how fast it is."""
    import io

    import torch
    from PIL import Image
    from torchvision.io import ImageReadMode, decode_jpeg

    files = [path.read_bytes() for path in paths_of(manifest)[:limit]]
    tensors = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in files]
    decode_jpeg(tensors[:8], ImageReadMode.RGB, device=device)
    synchronise(device)
    started = time.perf_counter()
    decoded = [
        image.cpu()
        for i in range(0, len(tensors), 64)
        for image in decode_jpeg(tensors[i : i + 64], ImageReadMode.RGB, device=device)
    ]
    synchronise(device)
    say(images=len(files), per_s=round(len(files) / (time.perf_counter() - started), 1))
    most, total = 0, []
    for data, image in zip(files, decoded, strict=True):
        reference = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int16)
        distance = np.abs(reference - image.permute(1, 2, 0).numpy())
        most, total = max(most, int(distance.max())), [*total, float(distance.mean())]
    say(largest_distance_of_255=most, mean_distance_of_255=round(float(np.mean(total)), 4))


@side
def killed(network: str, manifest: str, device: str, cache: str, precision: str, at: int) -> None:
    """An extraction that is killed (-9) once ``at`` images are in the cache."""
    from featx.extraction import pipeline, run_extractors

    pipeline.COMMIT_ROWS = max(1, at // 2)
    add = pipeline._Shards._add
    rows = 0

    def counted(self: Any, done: Any) -> None:
        nonlocal rows
        add(self, done)
        rows += sum(len(part.hashes) for part in done)
        if rows >= at:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    pipeline._Shards._add = counted  # type: ignore[method-assign]
    run_extractors(*_listed(prepared(network, manifest, device, precision, cache)))


@side
def resumed(
    network: str, manifest: str, device: str, cache: str, whole: str, precision: str
) -> None:
    """The rest of what `killed` began, compared with a run in one go."""
    from featx.extraction import run_extractors

    work = prepared(network, manifest, device, precision, cache)
    [found] = run_extractors(*_listed(work))
    [reference] = run_extractors(*_listed(prepared(network, manifest, device, precision, whole)))
    say(
        precision=precision,
        there=found.report.cached,
        computed_after=found.report.computed,
        bit_for_bit_equal=bool(np.array_equal(found.X, reference.X)),
    )


def _listed(work: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    rows, extractor, config = work
    return rows, [extractor], config


@side
def beside(
    network: str, manifest: str, device: str, cache: str, precision: str, ready: str, others: int
) -> None:
    """One of several processes on one GPU; they begin together."""
    from featx.extraction import run_extractors

    work = prepared(network, manifest, device, precision, cache)
    forward_only(work[1], 0.1)
    Path(ready).write_text("")
    while len(list(Path(ready).parent.glob("ready-*"))) < others:
        time.sleep(0.01)
    started = time.perf_counter()
    run_extractors(*_listed(work))
    say(elapsed_s=time.perf_counter() - started, images=len(work[0]))


if __name__ == "__main__":
    import gpu_other_sides  # noqa: F401 - adds its own
    import gpu_sides  # this file is another module as long as it is the script

    gpu_sides.SIDES[sys.argv[1]](**json.loads(sys.argv[2]))

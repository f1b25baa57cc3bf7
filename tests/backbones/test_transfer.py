"""How batches reach a GPU, with a stream that copies as late as a real one may."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from featx import console
from featx.engines import EngineChoice, _torch, build_engine
from featx.engines._transfer import DirectTransfer, PinnedTransfer
from featx.engines.torch import TorchPlugin

SHAPE = (4, 4, 3)


class LateStream:
    """Stands for a `CudaStream`.

    A copy back is made only by `wait`. A copy to the device may read its source until then, so
    `wait` finds out whether anybody wrote into it.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.n_pinned = 0
        self._pinned: set[int] = set()
        self._reading: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._late: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._one = threading.Lock()

    def current(self) -> AbstractContextManager[Any]:
        assert self._one.acquire(blocking=False), "two threads use one stream"
        return nullcontext()

    def pinned(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        self.n_pinned += 1
        made = torch.full(tuple(shape), 99, dtype=dtype)
        self._pinned.add(made.data_ptr())
        return made

    def on_device(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        return torch.full(tuple(shape), 77, dtype=dtype)

    def copy(self, target: torch.Tensor, source: torch.Tensor) -> None:
        if source.data_ptr() in self._pinned:
            self.log.append("there")
            self._reading.append((source, source.clone()))
            target.copy_(source)
        else:
            assert target.data_ptr() in self._pinned
            self.log.append("back")
            self._late.append((target, source))

    def wait(self) -> None:
        self.log.append("wait")
        for source, then in self._reading:
            assert torch.equal(source, then), "a buffer was overwritten before its copy had ended"
        for target, source in self._late:
            target.copy_(source)
        self._reading, self._late = [], []
        self._one.release()


def features(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Two outputs, one of them in half precision, that depend on all pixels of an image."""
    x = batch.float()
    return x.mean((1, 2)), (x * torch.arange(3)).sum((1, 2)).half()


def images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 256, (n, *SHAPE), np.uint8)


def pinned() -> tuple[PinnedTransfer, LateStream]:
    stream = LateStream()
    return PinnedTransfer(stream), stream  # type: ignore[arg-type]


def test_late_copies_give_what_direct_ones_give() -> None:
    transfer, _ = pinned()
    given = [images(n, seed) for seed, n in enumerate((5, 3, 5, 1))]
    found = [transfer.run(batch, 5, features) for batch in given]  # all kept: none is a buffer
    for batch, columns in zip(given, found, strict=True):
        for ours, theirs in zip(
            columns, DirectTransfer("cpu").run(batch, 5, features), strict=True
        ):
            assert ours.dtype == np.float32
            np.testing.assert_array_equal(ours, theirs)


def test_one_synchronisation_a_batch_and_buffers_that_are_used_again() -> None:
    transfer, stream = pinned()
    for seed in range(4):
        transfer.run(images(5, seed), 5, features)
    assert stream.log == ["there", "back", "back", "wait"] * 4
    assert stream.n_pinned == 3  # the batch and two outputs
    transfer.run(images(2), 2, features)  # after memory ran out
    assert stream.n_pinned == 6


def test_a_short_batch_is_padded_with_black_not_with_the_batch_before() -> None:
    transfer, _ = pinned()
    seen: list[torch.Tensor] = []

    def look(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen.append(batch.clone())
        return features(batch)

    transfer.run(images(5), 5, look)
    transfer.run(images(2, 1), 5, look)
    np.testing.assert_array_equal(seen[1][:2], images(2, 1))
    assert not seen[1][2:].any()


def test_after_an_error_the_copy_ends_before_its_buffer_is_written_again() -> None:
    transfer, stream = pinned()

    def fail(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        transfer.run(images(5), 5, fail)
    assert stream.log == ["there", "wait"]
    found = transfer.run(images(5, 1), 5, features)
    np.testing.assert_array_equal(found[0], features(torch.from_numpy(images(5, 1)))[0])


def test_the_double_would_notice_a_buffer_that_is_overwritten_too_early() -> None:
    transfer, stream = pinned()
    stream_wait, stream.wait = stream.wait, lambda: stream._one.release()  # type: ignore[method-assign]
    transfer.run(images(5), 5, features)
    transfer.run(images(5, 1), 5, features)
    with pytest.raises(AssertionError, match="overwritten before"):
        stream_wait()


@pytest.fixture
def late_engine(
    monkeypatch: pytest.MonkeyPatch, random_backbone: Any
) -> tuple[Any, list[LateStream]]:
    """The engine as on a GPU, but for the GPU, and its streams."""
    streams: list[LateStream] = []

    def transfer(device: str) -> PinnedTransfer:
        made, stream = pinned()
        streams.append(stream)
        return made

    backbone = random_backbone("timm:test_resnet", size_px=32)
    with monkeypatch.context() as patch:
        patch.setattr(_torch, "transfer_for", transfer)
        engine = _torch.TorchEngine(backbone, EngineChoice("torch", "cpu", "fp32", 8, 2, ""))
    return engine, streams


def test_an_engine_whose_copies_are_late_gives_the_same(late_engine: Any, pixels: Any) -> None:
    engine, streams = late_engine
    usual = build_engine("torch", engine._backbone, device="cpu", precision="fp32")
    jobs = [pixels(n, 32, seed=n) for n in (8, 3, 8, 17, 1, 8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(engine.embed, jobs))
    for job, columns in zip(jobs, found, strict=True):
        np.testing.assert_array_equal(columns[0], usual.embed(job)[0])
    assert len(streams) == 2  # one for each slot, whoever calls


def test_its_slots_share_the_weights(late_engine: Any) -> None:
    engine, _ = late_engine
    slots = [engine._free.get() for _ in range(2)]
    assert slots[0].replica is slots[1].replica
    assert slots[0].transfer is not slots[1].transfer


def test_running_out_of_memory_halves_its_batch_and_its_buffers(
    late_engine: Any, pixels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, _ = late_engine
    monkeypatch.setattr(console, "warn", lambda text: None)
    replica = engine._free.get().replica
    engine._free.get()
    engine._free.put(_torch._Slot(replica, pinned()[0]))
    forward, sizes = replica.network, []

    def limited(x: torch.Tensor) -> Any:
        sizes.append(len(x))
        if len(x) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return forward(x)

    replica.network = limited
    found = engine.embed(pixels(5, 32))
    assert sizes == [8, 4, 2, 2, 2]
    replica.network = forward
    np.testing.assert_allclose(engine.embed(pixels(5, 32))[0], found[0], atol=1e-5)


@pytest.mark.parametrize(
    ("gigabytes", "size"),
    [((4,), 64), ((10.5,), 64), ((11.5,), 128), ((24,), 256), ((150,), 256), ((80, 12), 128)],
)
def test_the_batch_size_follows_the_memory_that_the_smallest_gpu_has(
    gigabytes: tuple[float, ...], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def properties(device: str) -> Any:
        return SimpleNamespace(total_memory=int(gigabytes[int(device[-1])] * 10**9))

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gigabytes))
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    names = ",".join(f"cuda:{i}" for i in range(len(gigabytes)))
    choice = TorchPlugin().choose(names, "fp32")
    assert choice.batch_size == size
    assert choice.streams == 2 * len(gigabytes)
    assert "batch_size" not in choice.numerics

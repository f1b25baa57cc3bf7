"""Decoded pixels in memory at once."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile

from featx import machine
from featx.data import budget
from featx.data.budget import PixelBudget, keep_pixels
from featx.data.decode import decode_image
from featx.data.pixels import read_pixels
from featx.types import Preprocess


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> PixelBudget:
    """A budget that two RGB images of 100 × 100 just fit into."""
    found = PixelBudget(2 * 100 * 100 * 8 + 100)
    monkeypatch.setattr(budget, "_budget", found)
    return found


def picture(mode: str = "RGB", size: tuple[int, int] = (100, 100), format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((*size[::-1], 3), 90, np.uint8)).convert(mode).save(stream, format)
    return stream.getvalue()


class Watch:
    """How many images are between the start of their decoding and the end of their use."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, together: int) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()
        self._met = threading.Event()
        self._together = together
        load = ImageFile.ImageFile.load

        def watched(image: ImageFile.ImageFile) -> object:
            if image.tile:
                with self._lock:
                    self.now += 1
                    self.most = max(self.most, self.now)
                if self.now >= self._together:
                    self._met.set()
                self._met.wait(0.2)  # let others come in, if they may
            return load(image)

        monkeypatch.setattr(ImageFile.ImageFile, "load", watched)

    def done(self) -> None:
        with self._lock:
            self.now -= 1


@pytest.mark.parametrize(
    ("data", "most"),
    [
        (picture(), 4),  # 4 bytes a pixel
        (picture("RGBA"), 2),
        (picture("L"), 3),  # 5 bytes a pixel
        (picture(size=(200, 200)), 1),  # larger than the budget: alone
        (picture(format="JPEG2000"), 1),
    ],
    ids=["RGB", "RGBA", "grey", "large", "JPEG 2000"],
)
def test_threads_wait_where_their_images_would_not_fit(data, most, small, monkeypatch):
    watch = Watch(monkeypatch, together=most + 1)

    def work(_: int) -> None:
        with keep_pixels():
            decode_image(data)
            watch.done()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert watch.most == most
    assert small.taken_bytes == 0


def test_a_broken_image_gives_back_what_it_took(small):
    data = picture(format="BMP")
    for _ in range(3):
        with pytest.raises(Exception, match="truncated"):
            read_pixels(data[:20_000], Preprocess((8, 8)))
    assert small.taken_bytes == 0
    assert read_pixels(data, Preprocess((8, 8))).shape == (8, 8, 3)


def test_a_thread_that_holds_pixels_never_waits_for_more(small):
    large = picture(size=(200, 200))
    with keep_pixels(), keep_pixels():
        for _ in range(3):
            decode_image(large)
        assert small.taken_bytes > 2 * small.size_bytes
    assert small.taken_bytes == 0


def test_the_budget_is_a_part_of_the_memory_there_is(monkeypatch):
    for memory, cores, processes, size in (
        (1 << 30, 4, 1, int(0.4 * 2**30)),
        (100 << 30, 4, 1, 2 << 30),
        (100 << 30, 64, 1, 8 << 30),
        (10 << 30, 64, 1, 4 << 30),
        (100 << 30, 4, 4, 512 << 20),
        (1 << 30, 4, 10_000, 128 << 20),
    ):
        monkeypatch.setattr(budget, "memory_bytes", lambda memory=memory: memory)
        monkeypatch.setattr(budget, "cpu_cores", lambda cores=cores: cores)
        monkeypatch.setattr(budget, "_budget", None)
        monkeypatch.setattr(budget, "_processes", processes)
        assert budget.pixel_budget().size_bytes == size


def test_memory_is_what_the_container_leaves(tmp_path, monkeypatch):
    there = machine.memory_bytes()
    assert there > 1 << 20
    names = [str(tmp_path / name) for name in ("max", "current", "stat")]
    monkeypatch.setattr(machine, "_CGROUPS", (tuple(names),))
    assert machine.memory_bytes() > 1 << 20  # no such files
    for name, text in zip(
        names, ("5000000", "4000000", "anon 1\ninactive_file 200000"), strict=True
    ):
        (tmp_path / name).write_text(text)
    assert machine.memory_bytes() == 1_200_000
    (tmp_path / "max").write_text("max")
    assert machine.memory_bytes() > 1 << 20

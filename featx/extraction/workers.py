"""Threads that each read, decode and embed their own images, one batch after the other.

Decoding and the network share the processor, so giving each its own pool only makes them wait for
each other; measured, the fastest layout is the simplest: as many threads as cores, each with one
batch of its own. Where a GPU computes, whose batches are large, the threads fill one batch
together, and the engine lets as many of them in as it has streams. Memory is at most one batch more
than there are threads, for each backbone, whatever the data set.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Queue

import numpy as np

from featx.data.hashing import PIXEL_HASH_BYTES
from featx.extraction.extractor import Extractor
from featx.extraction.reading import Input, Reader, Reading
from featx.extraction.views import ViewPlan
from featx.types import Float32Array, UInt8Array

_WAITING = 64  # events that may wait to be taken; beyond it the threads wait


@dataclass(frozen=True)
class Read:
    """File ``index`` has been read; the pixels have gone to the network."""

    index: int
    reading: Reading


@dataclass(frozen=True)
class Computed:
    """Embeddings of some images.

    Parameters
    ----------
    extractor : int
        Whose.
    hashes : ndarray of shape (n, 32), uint8
        Content of the images, or names of views.
    pixels : ndarray of shape (n, 16), uint8
        Hash of each image's decoded pixels; a view's is that of its image.
    columns : list of ndarray of shape (n, n_features), float32
        One for each of the extractor's stores.
    forward_s : float
        Time the thread spent in the network, waiting for its turn included.
    """

    extractor: int
    hashes: UInt8Array
    pixels: UInt8Array
    columns: list[Float32Array]
    forward_s: float


@dataclass(frozen=True)
class _Ended:
    """A thread has ended, perhaps with an error."""

    error: BaseException | None = None


class _Tray:
    """Images waiting to fill one batch: their pixels, and the two hashes of each."""

    def __init__(self, size: int, like: UInt8Array) -> None:
        self.pixels = np.empty((size, *like.shape), np.uint8)
        self.forget()

    def forget(self) -> None:
        """Become empty; the hashes have been handed on."""
        self.hashes = np.empty((len(self.pixels), 32 + PIXEL_HASH_BYTES), np.uint8)
        self.n = self.written = 0

    def write(self, row: int, given: Input) -> None:
        self.pixels[row] = given.pixels
        self.hashes[row] = np.frombuffer(given.name + given.pixel_hash, np.uint8)

    def content(self) -> tuple[UInt8Array, UInt8Array]:
        return self.hashes[: self.n], self.pixels[: self.n]


class _Shelf:
    """Trays of one extractor, which one thread fills or several fill together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._spare: list[_Tray] = []
        self.open: _Tray | None = None

    def put(self, given: Input) -> _Tray | None:
        """Lay one input into a tray; the tray, where that was the last that it lacked."""
        with self._lock:
            if self.open is None:
                self.open = self._spare.pop() if self._spare else _Tray(self._size, given.pixels)
            tray, row = self.open, self.open.n
            tray.n += 1
            if tray.n == self._size:
                self.open = None
        tray.write(row, given)  # without the lock: others write their rows at the same time
        with self._lock:
            tray.written += 1
            return tray if tray.written == self._size else None

    def take_back(self, tray: _Tray) -> None:
        """Use a tray again."""
        tray.forget()
        with self._lock:
            self._spare.append(tray)


class Workers:
    """The threads of one pass over some files. Iterating gives what they did, in no set order.

    Files are begun in the order given. After `stop`, each thread finishes the file it is at, and
    iterating ends once what was done has been taken.

    Parameters
    ----------
    paths : sequence of str
        The files.
    extractors : sequence of Extractor
        With their stores open.
    views : ViewPlan
        Of the files.
    threads : int
        How many.
    decode : bool, default True
        False only reads and hashes.
    """

    def __init__(
        self,
        paths: Sequence[str],
        extractors: Sequence[Extractor],
        views: ViewPlan,
        *,
        threads: int,
        decode: bool = True,
    ) -> None:
        self._paths = paths
        self._extractors = extractors
        self._decode = decode
        self._reader = Reader(extractors, views, decode=decode)
        self._next = iter(range(len(paths)))
        self._taking = threading.Lock()
        self._starting = threading.Lock()
        self._stopped = threading.Event()
        self._events: Queue[Read | Computed | _Ended] = Queue(_WAITING)
        self._threads = [
            threading.Thread(target=self._work, name=f"featx-worker-{i}", daemon=True)
            for i in range(min(threads, max(1, len(paths))))
        ]
        self._running = len(self._threads)
        self._shelves: dict[int, list[_Shelf]] = {}
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no other file."""
        self._stopped.set()

    def abandon(self) -> Iterator[Computed]:
        """What the threads computed until each has finished the file it is at."""
        self.stop()
        for event in self:
            if isinstance(event, Computed):
                yield event

    def __iter__(self) -> Iterator[Read | Computed]:
        # Only this thread raises: the others hand over what they have, so nothing computed is lost.
        error: BaseException | None = None
        while self._running:
            event = self._events.get()
            if not isinstance(event, _Ended):
                yield event
                continue
            self._running -= 1
            error = error or event.error
            if error is not None:
                self.stop()
        if error is not None:
            raise error
        if not self._stopped.is_set():
            yield from self._remainders()

    def _work(self) -> None:
        shelves: dict[int, _Shelf] = {}
        try:
            while (index := self._take()) is not None:
                reading = self._reader(self._paths[index], index)
                for given in reading.inputs:
                    if self._decode:
                        self._put(given, shelves)
                reading.inputs = []  # others have taken the pixels
                self._events.put(Read(index, reading))
        except BaseException as error:  # the thread that iterates raises it
            self._events.put(_Ended(error))
        else:
            self._events.put(_Ended())

    def _take(self) -> int | None:
        with self._taking:
            return None if self._stopped.is_set() else next(self._next, None)

    def _put(self, given: Input, shelves: dict[int, _Shelf]) -> None:
        """Lay one input into a tray; compute when it is full."""
        k = given.extractor
        if given.known is not None:
            hashes, pixels = (
                np.frombuffer(key, np.uint8).reshape(1, -1)
                for key in (given.name, given.pixel_hash)
            )
            self._events.put(Computed(k, hashes, pixels, given.known, 0.0))
            return
        if k not in shelves:
            shelves[k] = self._shelf(k)
        tray = shelves[k].put(given)
        if tray is not None:
            self._events.put(self._compute(k, *tray.content()))
            shelves[k].take_back(tray)

    def _shelf(self, k: int) -> _Shelf:
        """Where a thread puts its images: a shelf of its own, or of all threads before a GPU."""
        with self._starting:  # a saved model's backbone is looked for only now
            choice = self._extractors[k].plan.choice
            made = self._shelves.setdefault(k, [])
            if not made or choice.device == "cpu":
                made.append(_Shelf(choice.batch_size))
            return made[-1]

    def _compute(self, k: int, hashes: UInt8Array, pixels: UInt8Array) -> Computed:
        extractor = self._extractors[k]
        with self._starting:
            engine = extractor.start()
        started = time.perf_counter()
        embeddings = engine.embed(pixels)
        columns = [embeddings[c] for c in extractor.columns()]
        return Computed(k, hashes[:, :32], hashes[:, 32:], columns, time.perf_counter() - started)

    def _remainders(self) -> Iterator[Computed]:
        """Join what the threads were left with, so that few images are not many padded batches."""
        jobs = []
        for k, shelves in self._shelves.items():
            trays = [shelf.open for shelf in shelves if shelf.open is not None]
            if not trays:
                continue
            hashes, pixels = (
                np.concatenate(parts) for parts in zip(*(t.content() for t in trays), strict=True)
            )
            size = len(trays[0].pixels)
            jobs += [
                (k, hashes[i : i + size], pixels[i : i + size]) for i in range(0, len(hashes), size)
            ]
        if jobs:
            with ThreadPoolExecutor(len(self._threads)) as pool:
                yield from pool.map(lambda job: self._compute(*job), jobs)

"""Scores as they are found, on disk: what is known is not fitted again after an interruption.

A file holds the scores of one partition of one set of images. Its name is a digest of all that a
score depends on besides the trial and the folds held out, so that nothing else can be read from it.
Lines are added whole and never changed. Each holds a checksum: one that was torn or changed since,
or has none, is left out when it is read, with a warning.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.files import make_directory, printable, read_bounded
from featx.fitting.candidates import Trial
from featx.fitting.executors import SearchSettings
from featx.fitting.partition import FoldSet, Partition
from featx.heads import HEADS
from featx.samplers import SAMPLERS
from featx.sealed import seal_line, unseal_line
from featx.types import canonical_json

KEPT_S = 30 * 24 * 3600.0
MOST_BYTES = 1 << 30
PACKAGES = ("featx", "scikit-learn", "imbalanced-learn", "numpy", "scipy", "torch")
SOURCES = ("*.py", "*/*.py", "*/*/*.py")  # of featx: a plug-in's file counts too


@dataclass(frozen=True)
class Entry:
    """What one fit gave."""

    trial: Trial
    left_out: FoldSet  # folds left out together
    scores: list[float]  # on each of them; NaN where there is none
    stopped: bool  # whether the fit met its iteration limit
    # trials that it was fitted along with, itself too, in their order, where that matters
    context: Sequence[Trial] = ()


class Journal:
    """A folder of score files.

    Parameters
    ----------
    folder : Path
        Made when the first score is written; files that nothing was added to for 30 days are
        removed when a search starts.

    Attributes
    ----------
    recalled : int
        Fits that were not made again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recalled = 0
        with contextlib.suppress(OSError):
            for path in folder.glob(f"{'[0-9a-f]' * 40}.jsonl"):
                if time.time() - path.lstat().st_mtime > KEPT_S:
                    path.unlink()

    def open(self, data: Partition, settings: SearchSettings) -> ScoreFile:
        """The file of what such a search found before and finds now."""
        return ScoreFile(self.folder / f"{_digest(data, settings)[:40]}.jsonl")


class ScoreFile:
    """Scores of one partition.

    A file that cannot be written costs a warning and nothing else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[list[float], bool]] = {}
        self._handle: int | None = None
        self._broken = False
        self._lock = threading.Lock()
        lines: list[bytes] = []
        with contextlib.suppress(OSError):
            lines = read_bounded(path, MOST_BYTES).split(b"\n")
        unsound = sum(not self._read(line) for line in lines if line)
        if unsound:
            console.warn(
                f"{printable(str(path))}: {console.counted(unsound, 'line')} of an earlier "
                f"search {'has' if unsound == 1 else 'have'} no valid checksum (changed, cut "
                "short, or written by an older featx) and will be ignored; missing scores "
                "are computed again."
            )

    def find(
        self, trial: Trial, left_out: FoldSet, context: Sequence[Trial] = ()
    ) -> tuple[list[float], bool] | None:
        """Scores on each fold left out, and whether the fit met its limit, where they are known."""
        found = self._known.get(_key(trial, left_out, context))
        return found if found is not None and len(found[0]) == len(left_out) else None

    def add(self, entry: Entry) -> None:
        """Write down what is not known yet; any thread may."""
        key = _key(entry.trial, entry.left_out, entry.context)
        scores = [None if np.isnan(s) else float(s) for s in entry.scores]
        line = seal_line([key, scores, entry.stopped], self._path.stem)
        with self._lock:
            if key in self._known:
                return
            self._known[key] = entry.scores, entry.stopped
            if self._broken:
                return
            try:
                # one write a line: what other processes append meanwhile does not tear it
                os.write(self._open(), line)
            except OSError as error:
                self._broken = True
                console.warn(
                    f"{self._path}: {error.strerror}; this search would start again if interrupted"
                )

    def _read(self, line: bytes) -> bool:
        """Whether the line is as it was written; its scores are then known."""
        try:
            key, scores, stopped = unseal_line(line, self._path.stem)
        except (ValueError, RecursionError):
            return False
        self._known[key] = [np.nan if s is None else float(s) for s in scores], stopped
        return True

    def _open(self) -> int:
        if self._handle is None:
            make_directory(self._path.parent)
            # O_APPEND: lines of several processes do not overwrite each other; no link is followed
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            self._handle = os.open(self._path, flags, 0o666)
            size = os.fstat(self._handle).st_size
            if size and os.pread(self._handle, 1, size - 1) != b"\n":
                os.write(self._handle, b"\n")  # after a line that was torn
        return self._handle

    def __del__(self) -> None:
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.close(self._handle)


def _key(trial: Trial, left_out: FoldSet, context: Sequence[Trial]) -> str:
    fields = asdict(trial)
    if fields["setup"]["scaled"]:
        del fields["setup"]["scaled"]  # as journals were written when nothing else was possible
    key: list[Any] = [fields, left_out]
    if context:
        params = json.dumps([t.params for t in context], default=repr)
        key.append(hashlib.sha256(params.encode()).hexdigest()[:32])
    return json.dumps(key, sort_keys=True, default=repr)


def _digest(data: Partition, settings: SearchSettings) -> str:
    """Of everything that a score depends on, besides the trial and the folds left out."""
    fold = np.ascontiguousarray(data.fold, dtype=np.int64)
    document = {
        "part": data.part.digest,
        "folds": hashlib.sha256(fold.tobytes()).hexdigest(),
        "scoring": settings.scoring,
        "seed": settings.seed,
        "device": settings.device,
        "made_by": _makers(),
        "plugins": [*HEADS.contents(), *SAMPLERS.contents()],
    }
    return hashlib.sha256(canonical_json(document)).hexdigest()


@functools.cache
def _makers() -> dict[str, Any]:
    """Libraries, and featx's own files: another version may score otherwise."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(root.glob(pattern)):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return {
        "python": sys.version.split()[0],
        "machine": platform.machine(),
        "sources": digest.hexdigest(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }

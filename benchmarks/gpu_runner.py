"""Where gpu.py measures, and how one of its sides runs in a process until the time is over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

#: Everything a step found, by name.
Figures = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where and how large everything is.

    Parameters
    ----------
    device : str
        ``cuda``, or ``cpu`` with tiny sizes.
    images : Path
        A manifest of all files.
    n_images : int
    scratch : Path
        A folder to work in.
    workers : int
        Cores.
    seconds : float
        Of each measurement of repeated work.
    """

    device: str
    images: Path
    n_images: int
    scratch: Path
    workers: int
    seconds: float

    @property
    def tiny(self) -> bool:
        """Whether this is a trial without a GPU."""
        return self.device == "cpu"

    @property
    def batch(self) -> int:
        """Images in a batch of the plain loop."""
        return 8 if self.tiny else 256

    def network(self, timm: str) -> tuple[str, str]:
        """What stands for a timm network: its name for featx, and for timm."""
        if self.tiny:
            return "timm:test_resnet", "test_resnet"
        return "featx:lite0" if timm == "efficientnet_lite0" else f"timm:{timm}", timm

    def precisions(self, *asked: str) -> list[str]:
        """Those that the device does."""
        return ["fp32"] if self.tiny else list(asked)

    def part(self, name: str, start: int, stop: int) -> str:
        """A manifest of some of the files."""
        first, *rows = self.images.read_text().split()
        path = self.images.parent / f"{name}.csv"
        path.write_text("\n".join([first, *rows[start:stop]]) + "\n")
        return str(path)


class CutOff(Exception):
    """The time was over; the step's figures so far are kept."""


class Runner:
    """Runs sides until a step's time is over.

    Parameters
    ----------
    figures : dict
        Where what they say goes.
    end : float
        On the clock of `time.monotonic`.
    """

    def __init__(self, figures: Figures, end: float) -> None:
        self.figures = figures
        self.end = end

    def side(
        self, name: str, to: str | None = None, *, killed: bool = False, **options: Any
    ) -> Any:
        """One side in a process of its own; its figures go below ``to``."""
        with self.begun(name, **options) as process:
            return self.ended(process, name, to, killed=killed)

    @contextmanager
    def begun(self, name: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
        """A side that runs; it ends with the block at the latest."""
        command = [sys.executable, "-W", "ignore", str(HERE / "gpu_sides.py"), name]
        process = subprocess.Popen(
            [*command, json.dumps(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                _kill(process)

    def ended(
        self,
        process: subprocess.Popen[str],
        name: str,
        to: str | None = None,
        *,
        killed: bool = False,
    ) -> Figures:
        """What a side said, at its end or when the time is over."""
        try:
            told, errors = process.communicate(timeout=max(0.1, self.end - time.monotonic()))
        except subprocess.TimeoutExpired:
            _kill(process)
            told, errors = process.communicate()
            self._keep(told, to)
            raise CutOff(name) from None
        found = self._keep(told, to)
        if process.returncode != 0 and not killed:
            last = (errors.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"{name} failed ({process.returncode}): {last}")
        return found

    def _keep(self, told: str, to: str | None) -> Figures:
        found: Figures = {}
        for line in told.splitlines():
            if line.startswith("{"):
                found |= json.loads(line)
        if to is None:
            self.figures |= found
        else:
            self.figures.setdefault(to, {}).update(found)
        return found


def _kill(process: subprocess.Popen[str]) -> None:
    """The process and the workers of its own."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()

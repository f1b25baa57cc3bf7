"""Which engine, device and precision a run uses, and why: by hardware, never by the images."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from featx.engines._base import ENGINES, Embedder
from featx.engines._devices import may_have_gpu
from featx.types import ExtractorSpec


@dataclass(frozen=True)
class EngineChoice:
    """What runs a network, decided before the network is loaded.

    Parameters
    ----------
    engine, device, precision : str
        Resolved: none of them is ``auto``.
    batch_size : int
        Images in a batch.
    streams : int
        Batches that run at the same time.
    why : str
        The reason, for people; empty when nothing was left to choose.
    """

    engine: str
    device: str
    precision: str
    batch_size: int
    streams: int
    why: str

    @property
    def numerics(self) -> dict[str, str]:
        """What of the choice decides the embedding; part of the fingerprint."""
        family = self.device.partition(":")[0]
        return {"engine": self.engine, "device": family, "precision": self.precision}

    def specs(self, backbone: Embedder) -> tuple[ExtractorSpec, ...]:
        """What the choice makes of each output of a backbone."""
        return tuple(
            ExtractorSpec({**output.document, "numerics": self.numerics})
            for output in backbone.outputs
        )

    @property
    def short(self) -> str:
        """Engine, precision and device."""
        return f"{self.engine} in {self.precision} on {self.device}"

    def __str__(self) -> str:
        return f"{self.short} ({self.why})" if self.why else self.short

    @property
    def is_reference(self) -> bool:
        """Whether this is torch in fp32 on the CPU, which everything else is measured against."""
        return self.numerics == {"engine": "torch", "device": "cpu", "precision": "fp32"}


def choose(engine: str = "auto", device: str = "auto", precision: str = "auto") -> EngineChoice:
    """Decide on engine, device and precision.

    Parameters
    ----------
    engine : str, default "auto"
        ``openvino`` on the CPU where it is installed, else ``torch``.
    device : str, default "auto"
        A GPU where there is one, else ``cpu``.
    precision : str, default "auto"
        bf16 where the processor or GPU multiplies it natively, else fp32.

    Raises
    ------
    UnknownNameError
        There is no such engine.
    UsageError
        The device is not on this machine, or does not do the precision.
    """
    if engine == "auto":
        on_cpu = device == "cpu" or (device == "auto" and not may_have_gpu())
        installed = importlib.util.find_spec("openvino") is not None
        engine = "openvino" if on_cpu and installed and precision != "fp16" else "torch"
    choice: EngineChoice = ENGINES.get(engine).choose(device, precision)
    return choice

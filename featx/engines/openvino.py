"""The CPU engine: OpenVINO, from a converted network that is kept on disk.

Converting takes seconds and torch; a kept network starts in a fraction of a second without. Each
stream is one thread with one batch of a fixed size, the last one zero-padded: an image's embedding
is bit for bit the same whatever its companions, their number and their order are.

OpenVINO's telemetry is never loaded.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

import numpy as np

from featx.engines._base import CPU_BATCH_SIZE, Embedder, Engine, check_batch, refuse_non_finite
from featx.engines._choice import EngineChoice
from featx.engines._network import import_openvino, kept_network
from featx.errors import BackboneError, UsageError
from featx.machine import cpu_cores
from featx.types import Float32Array, UInt8Array

_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}


class OpenVINOEngine:
    """Runs a backbone with OpenVINO on the CPU.

    Parameters
    ----------
    backbone : Embedder
        Its network is loaded only where no converted one is kept.
    choice : EngineChoice
        What `OpenVINOPlugin.choose` gave.

    Raises
    ------
    BackboneError
        The network cannot be converted.
    """

    def __init__(self, backbone: Embedder, choice: EngineChoice) -> None:
        openvino = import_openvino()
        self.device = choice.device
        self.precision = choice.precision
        self.batch_size = choice.batch_size
        self.streams = choice.streams
        self.numerics = choice.numerics
        self.specs = choice.specs(backbone)
        self._backbone = backbone
        core = openvino.Core()
        try:
            model = kept_network(backbone, self.batch_size, core)
            compiled = core.compile_model(model, "CPU", self._settings())
        except RuntimeError as error:
            raise BackboneError(
                f"OpenVINO cannot run {backbone.name}: {str(error).strip().splitlines()[-1]}",
                hint="Use --engine torch.",
            ) from error
        self._free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.streams):
            self._free.put(compiled.create_infer_request())

    def _settings(self) -> dict[str, Any]:
        return {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[self.precision],
            "EXECUTION_MODE_HINT": "PERFORMANCE" if self.precision == "bf16" else "ACCURACY",
            "NUM_STREAMS": self.streams,
            "INFERENCE_NUM_THREADS": self.streams,
            "ENABLE_CPU_PINNING": False,  # other work on the machine must be able to move it
        }

    def embed(self, batch: UInt8Array) -> tuple[Float32Array, ...]:
        """Embed images; see `featx.engines.Engine.embed`."""
        check_batch(batch, self._backbone)
        request = self._free.get()
        try:
            parts = [
                self._embed_chunk(batch[start : start + self.batch_size], request)
                for start in range(0, len(batch), self.batch_size)
            ]
        finally:
            self._free.put(request)
        columns = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
        refuse_non_finite(columns, self._backbone, self.precision)
        return columns

    def _embed_chunk(self, chunk: UInt8Array, request: Any) -> list[Float32Array]:
        """Embed at most ``batch_size`` images as one batch of exactly that size."""
        n = len(chunk)
        images = request.get_input_tensor().data
        images[:n] = chunk
        images[n:] = 0
        request.infer(share_outputs=True)
        outputs = range(len(self._backbone.outputs))
        return [request.get_output_tensor(k).data[:n].copy() for k in outputs]


class OpenVINOPlugin:
    """Chooses for and builds `OpenVINOEngine`."""

    def choose(self, device: str, precision: str) -> EngineChoice:
        """Resolve ``auto``; refuse another device than the CPU and what it does not multiply.

        Parameters
        ----------
        device : {"auto", "cpu"}
        precision : {"auto", "fp32", "bf16"}
            ``auto`` is bf16 where the processor multiplies it natively, else fp32.
        """
        if device not in {"auto", "cpu"}:
            raise UsageError(
                f"Engine 'openvino' runs on the CPU, not on {device!r}.",
                hint="Leave --engine out, or use --engine torch.",
            )
        if precision not in {"auto", *_PRECISIONS}:
            raise UsageError(
                f"Precision {precision!r} with engine 'openvino'; allowed are auto, fp32 and bf16."
            )
        native = "BF16" in _capabilities()
        if precision == "bf16" and not native:
            raise UsageError(
                "Precision 'bf16' needs a processor that supports it (AVX512-BF16 or AMX); this "
                "one does not.",
                hint="Use --precision fp32.",
            )
        why = ""
        if precision == "auto":
            precision = "bf16" if native else "fp32"
            why = f"the processor {'multiplies' if native else 'does not multiply'} bf16 natively"
        return EngineChoice("openvino", "cpu", precision, CPU_BATCH_SIZE, cpu_cores(), why)

    def build(self, backbone: Embedder, choice: EngineChoice) -> Engine:
        """The engine."""
        return OpenVINOEngine(backbone, choice)


PLUGIN = OpenVINOPlugin()

_known: list[str] = []
_asking = threading.Lock()


def _capabilities() -> list[str]:
    """What the processor multiplies natively, as OpenVINO names it."""
    with _asking:
        if not _known:
            core = import_openvino().Core()
            _known.extend(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    return _known

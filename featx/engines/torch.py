"""The engine ``torch``: PyTorch on the CPU, CUDA GPUs or Apple's; the reference on the CPU.

``torch.compile`` is not used: on a CPU it costs 7 to 17 s and a compiler at every start, which
OpenVINO's kept networks do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from featx.engines._base import CPU_BATCH_SIZE, Embedder, Engine
from featx.engines._choice import EngineChoice
from featx.errors import UsageError
from featx.machine import cpu_cores

_BATCH_SIZE = {"cpu": CPU_BATCH_SIZE, "mps": 32}
#: Images in a batch by the memory of a GPU, in GB, at least: what it has, not what is free, so that
#: one machine keeps one batch size.
_CUDA_BATCH_SIZE = {22: 256, 11: 128, 0: 64}
_STREAMS_PER_GPU = 2  # one batch is copied while the other is computed
_PRECISIONS = ("fp32", "bf16", "fp16")


class TorchPlugin:
    """Chooses for and builds `featx.engines._torch.TorchEngine`; imports torch where it must."""

    def choose(self, device: str, precision: str) -> EngineChoice:
        """Resolve ``auto``; refuse a device that is not here or a precision it does not do.

        Parameters
        ----------
        device : str
            ``auto``, ``cpu``, ``mps``, ``cuda``, ``cuda:N`` or several, ``cuda:0,cuda:1``.
        precision : {"auto", "fp32", "bf16", "fp16"}
            ``auto`` is bf16 where the processor or the GPU multiplies it natively, else fp32,
            without TF32. bf16 and fp16 run under autocast.
        """
        device = choose_device(device)
        family = device.partition(":")[0]
        chosen, why = choose_precision(precision, device)
        n_devices = device.count(",") + 1
        streams = cpu_cores() if family == "cpu" else n_devices * _STREAMS_PER_GPU
        size = _BATCH_SIZE[family] if family in _BATCH_SIZE else _cuda_batch_size(device.split(","))
        return EngineChoice("torch", device, chosen, size, streams, why)

    def build(self, backbone: Embedder, choice: EngineChoice) -> Engine:
        """The engine."""
        from featx.engines._torch import TorchEngine

        return TorchEngine(backbone, choice)


PLUGIN = TorchPlugin()


def choose_device(device: str) -> str:
    """The device to run on; refuses one that is not here.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; or several GPUs with commas between.
    """
    if device == "cpu":
        return device
    import torch

    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = [f"cuda:{i}" for i in range(n_cuda)]
    here = ["cuda", *gpus] if gpus else []
    here += ["mps"] if torch.backends.mps.is_available() else []
    here.append("cpu")
    if device == "auto":
        return here[0]
    several = device.split(",")
    if not set(several) <= set(here):
        raise UsageError(
            f"Device {device!r} is not on this machine; there are: auto, {', '.join(here)}.",
            hint="featx doctor lists devices and drivers.",
        )
    if len(several) > 1 and (len(set(several)) < len(several) or not set(several) <= set(gpus)):
        raise UsageError(
            f"Device {device!r}: only different GPUs can run together, as in cuda:0,cuda:1."
        )
    return device


def choose_precision(precision: str, device: str) -> tuple[str, str]:
    """The precision to run in, and why; refuses one that the device does badly or not at all.

    Parameters
    ----------
    precision : str
        ``auto``, ``fp32``, ``bf16`` or ``fp16``.
    device : str
        What `choose_device` returned.
    """
    family = device.partition(":")[0]
    if precision == "auto":
        native = _multiplies_bf16(device)
        why = "multiplies bf16 natively" if native else "does not multiply bf16 natively"
        return ("bf16" if native else "fp32"), f"{device} {why}"
    if precision == "fp32":
        return precision, ""
    if precision not in _PRECISIONS:
        raise UsageError(f"Precision {precision!r}; allowed are auto, fp32, bf16 and fp16.")
    if precision == "fp16" and family == "cpu":
        raise UsageError(
            "Precision 'fp16' on the CPU is slower than fp32 and overflows.",
            hint="Use --precision bf16 (or fp32).",
        )
    if precision == "bf16" and family == "mps":
        raise UsageError(
            "Precision 'bf16' is not supported by every mps device.",
            hint="Use --precision fp16 (or fp32).",
        )
    if precision == "bf16" and family == "cuda" and not _multiplies_bf16(device):
        raise UsageError(
            f"Precision 'bf16' needs compute capability 8.0; {device} has less.",
            hint="Use --precision fp16 (or fp32).",
        )
    return precision, ""


def _cuda_batch_size(devices: Sequence[str]) -> int:
    """The batch size that suits the GPU with the least memory."""
    import torch

    memory = min(torch.cuda.get_device_properties(device).total_memory for device in devices)
    return next(size for least, size in _CUDA_BATCH_SIZE.items() if memory >= least * 10**9)


def _multiplies_bf16(device: str) -> bool:
    import torch

    if device.startswith("cuda"):
        return all(torch.cuda.get_device_capability(d)[0] >= 8 for d in device.split(","))
    if device == "cpu":
        ask: Any = getattr(torch.cpu, "get_capabilities", dict)  # older torch has none: fp32
        capabilities = ask()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False

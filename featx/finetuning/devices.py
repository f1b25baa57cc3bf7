"""Where a fine-tune runs: one device, or several that share each step."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from featx import console
from featx.config import ExtractConfig, FinetuneConfig
from featx.errors import UsageError


@dataclass(frozen=True)
class Place:
    """Where a fine-tune runs.

    Parameters
    ----------
    device : str
        What predicts, and trains where ``devices`` is empty.
    precision : {"fp32", "bf16"}
    devices : tuple of str
        That train together, a process each.
    """

    device: str
    precision: str
    devices: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """``cpu``, ``cuda`` or ``mps``."""
        return self.device.partition(":")[0]

    def __str__(self) -> str:
        if self.devices and self.family == "cpu":
            return f"cpu in {len(self.devices)} processes"
        return ", ".join(self.devices) or self.device


def choose_place(extract: ExtractConfig, config: FinetuneConfig) -> Place:
    """Decide on devices and precision, before anything is computed.

    Parameters
    ----------
    extract : ExtractConfig
        ``device`` and ``precision``.
    config : FinetuneConfig
        ``processes`` and ``train_batch``.

    Raises
    ------
    UsageError
        A device is not on this machine or does not do the precision; a step has fewer images than
        devices; featx was started several times by torchrun.
    """
    from featx.engines import choose

    _refuse_torchrun()
    choice = choose("torch", extract.device, extract.precision)
    if choice.precision == "fp16":
        raise UsageError(
            "Fine-tuning runs in fp32 or bf16. Got --precision fp16.",
            hint="Give --precision bf16, or leave it out.",
        )
    if choice.device == "cpu" and choice.precision not in {
        "fp32",
        choose("torch", "cpu").precision,
    }:
        console.warn(
            "this processor does not support bf16: torch emulates it, and training takes "
            "several times as long as in fp32. Leave --precision out to train in fp32."
        )
    devices = tuple(choice.device.split(","))
    if config.processes > 1:
        if devices != ("cpu",):
            raise UsageError(
                f"--processes {config.processes} shares the work of a CPU; the device is "
                f"{choice.device}.",
                hint="Name several GPUs as --device cuda:0,cuda:1, or give --device cpu.",
            )
        devices *= config.processes
    if len(devices) > config.train_batch:
        raise UsageError(
            f"--train-batch {config.train_batch} is smaller than the {len(devices)} devices that "
            "share the images of each step.",
            hint=f"Give --train-batch {len(devices)} or more, or fewer devices.",
        )
    return Place(devices[0], choice.precision, devices if len(devices) > 1 else ())


def suit_network(place: Place, asked: str, network: Any) -> Place:
    """The place with the precision in which this network trains fastest, where none is asked for.

    Parameters
    ----------
    place : Place
    asked : str
        ``--precision``.
    network : Module
    """
    from featx.finetuning.timing import suits_bf16

    if asked != "auto" or place.family != "cpu" or suits_bf16(network):
        return place
    return replace(place, precision="fp32")


def _refuse_torchrun() -> None:
    """Embedding, fitting and writing are done once: featx starts processes for training alone."""
    started = os.environ.get("WORLD_SIZE", "1")
    if "TORCHELASTIC_RUN_ID" in os.environ and started != "1":
        raise UsageError(
            f"torchrun started {started} processes of featx finetune, which starts its own.",
            hint="Run it once, without torchrun: featx finetune ... --device cuda:0,cuda:1",
        )

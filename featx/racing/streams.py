"""What enters a race: forward passes, each of which gives every layer and pooling at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from featx import console
from featx.backbones import open_backbone, recognise_backbone, weights_here
from featx.config import ExtractConfig, RaceConfig, default_backbone
from featx.errors import BackboneError, UsageError
from featx.files import printable
from featx.runs.raced import RACED_POOLINGS
from featx.types import (
    AUTO_LAYER,
    BackboneRequest,
    BoolArray,
    Float32Array,
    IntArray,
    ResizeMode,
    UInt8Array,
)

SHARES = (0.5, 1.0, 1.5)  # of the size of the weights
STEP_PX = 32  # what most networks shrink an image by


@dataclass(frozen=True)
class Stream:
    """One forward pass.

    Parameters
    ----------
    backbone : str
    weights : str or None
        A local file, or the backbone's own weights.
    size_px : int
        Of the network's input.
    resize : {"shortest", "squash"}
        How an image gets that size.
    """

    backbone: str
    weights: str | None
    size_px: int
    resize: ResizeMode

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.backbone}, {self.size_px} px, {self.resize}"

    def extract(self, config: ExtractConfig, **more: Any) -> ExtractConfig:
        """The settings that extract it; ``more`` are other fields of theirs."""
        own = {
            "backbone": [self.backbone],
            "weights": self.weights,
            "size": self.size_px,
            "resize": self.resize,
        }
        return config.model_copy(update={**own, **more})


@dataclass(frozen=True)
class Forwarded:
    """Embeddings of some images by one forward pass.

    Parameters
    ----------
    X : mapping of str to ndarray of shape (n_ok, n_features), float32
        By layer and pooling.
    ok : ndarray of shape (n,), bool
        Images that could be read.
    hashes : ndarray of shape (n, 32), uint8
    computed : int
        Images that were not in the cache.
    seconds : float
        What embedding those took, without loading the network.
    image_s : float or None
        Seconds an image, of those or of an earlier race; None where it is not known.
    """

    X: Mapping[str, Float32Array]
    ok: BoolArray
    hashes: UInt8Array
    computed: int
    seconds: float
    image_s: float | None


class EmbeddingSource(Protocol):
    """Where embeddings come from."""

    def embed(self, stream: Stream, rows: IntArray) -> Forwarded:
        """Embeddings of these rows of the data set."""

    def forget(self, stream: Stream) -> None:
        """Let go of a network that has left the race."""

    def clock(self) -> float:
        """Seconds."""


def plan_streams(config: RaceConfig, extract: ExtractConfig) -> list[Stream]:
    """Every backbone at every size in every way to get it, the smallest inputs first.

    Raises
    ------
    UsageError
        There is nothing to choose among.
    BackboneError, UnknownNameError, WeightsNotFoundError
        A backbone cannot be built.
    """
    found = []
    for name, weights in _entrants(config, extract):
        own = open_backbone(BackboneRequest(name, weights), offline=extract.offline)
        side = min(own.preprocess.size_px)
        for size in config.size or _sizes(side):
            for resize in config.resize or ("shortest", "squash"):
                stream = Stream(name, weights, size, resize)
                if _can_run(stream, extract, asked=size == side or bool(config.size)):
                    found.append(stream)
    found = list(dict.fromkeys(found))
    if not found:
        raise UsageError("No backbone can run in this race.", hint="Name one with --backbone.")
    return sorted(found, key=lambda stream: stream.size_px)


def _entrants(config: RaceConfig, extract: ExtractConfig) -> Iterator[tuple[str, str | None]]:
    """Backbones and their files: those named, those of files, else all on this machine."""
    names: Sequence[str] = extract.backbone
    if not names and not config.weights:
        names = weights_here() or [default_backbone()]
        console.log(
            f"Racing the backbones whose weights are on this machine: {', '.join(names)}. Others "
            "are named with --backbone, local files with --weights."
        )
    elif not names:
        names = [name for name in weights_here() if name.startswith("featx:")]
    yield from ((name, None) for name in dict.fromkeys(names))
    for given in dict.fromkeys(config.weights):
        name, equals, path = given.partition("=")
        if equals and ":" in name:
            yield name, path
        else:
            name = recognise_backbone(given)
            console.log(f"{printable(given)} holds the tensors of {name}.")
            yield name, given


def _sizes(side: int) -> list[int]:
    """Half of a size, the size itself and half as much again, in whole steps."""
    near = [max(STEP_PX, round(side * share / STEP_PX) * STEP_PX) for share in SHARES]
    return [near[0], side, near[2]]


def _can_run(stream: Stream, extract: ExtractConfig, *, asked: bool) -> bool:
    """Whether its network takes that size; only where it was asked for is that an error."""
    config = stream.extract(extract, layer=[AUTO_LAYER], pooling=list(RACED_POOLINGS))
    try:
        open_backbone(config.requests()[0], offline=extract.offline)
    except BackboneError as error:
        if asked:
            raise
        console.detail(f"{stream.name} is left out: {error.message}")
        return False
    return True


def beginners(streams: Sequence[Stream]) -> list[Stream]:
    """Those that begin a race: every backbone at its smaller sizes, two of three, one of two.

    Squashed where that is among its ways to resize: the network then sees whole images.
    """
    found = []
    for stream in streams:
        kin = _of_backbone(stream, streams)
        sizes = sorted({other.size_px for other in kin})
        squash = "squash" in {other.resize for other in kin}
        if stream.size_px in sizes[: (len(sizes) + 1) // 2] and (
            stream.resize == "squash" or not squash
        ):
            found.append(stream)
    return found


def neighbours(stream: Stream, streams: Sequence[Stream]) -> list[Stream]:
    """The same backbone at the next size, and at the same size resized the other way."""
    kin = _of_backbone(stream, streams)
    sizes = sorted({other.size_px for other in kin})
    place = sizes.index(stream.size_px)
    near = sizes[max(0, place - 1) : place + 2]
    return [
        other
        for other in kin
        if other.size_px in near
        and (other.size_px == stream.size_px) != (other.resize == stream.resize)
    ]


def _of_backbone(stream: Stream, streams: Sequence[Stream]) -> list[Stream]:
    own = (stream.backbone, stream.weights)
    return [other for other in streams if (other.backbone, other.weights) == own]


def sets_of(outputs: Sequence[str]) -> list[tuple[str, ...]]:
    """What competes of one forward pass.

    Each layer with each pooling, the layers of one pooling side by side, and all of them.

    Parameters
    ----------
    outputs : sequence of str
        ``LAYER:POOLING`` or ``pre-logits``.
    """
    by_pooling: dict[str, list[str]] = {}
    for output in outputs:
        _, colon, pooling = output.rpartition(":")
        if colon:
            by_pooling.setdefault(pooling, []).append(output)
    sets = [*((output,) for output in outputs), *map(tuple, by_pooling.values()), tuple(outputs)]
    return list(dict.fromkeys(sets))

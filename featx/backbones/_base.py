"""What a backbone is, to those who use one and to the sources that build one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from featx.registry import PluginOrigin, plugin_origin
from featx.types import BackboneRequest, Preprocess

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class BackboneOutput:
    """One embedding that a backbone gives; each has a store of its own.

    Parameters
    ----------
    name : str
        Layers and poolings; unique among the outputs of one backbone.
    n_features : int
        Measured width.
    document : dict
        JSON document of everything but the engine's numerics that changes the embedding.
    """

    name: str
    n_features: int
    document: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Backbone:
    """A frozen network ready for an engine.

    Parameters
    ----------
    name : str
        Full name, with the weights' tag.
    request : BackboneRequest
        What it was built from, and can be built from again.
    preprocess : Preprocess
        How images become its input.
    pretrained : bool
        False when the weights are random.
    load : callable
        Gives ``network``; called when it is first used.
    outputs : tuple of BackboneOutput
        In the order of the network's tuple.
    files : tuple of Path
        Files that the weights come from; none when they are random.
    precision : str, default "auto"
        What runs it where no precision is asked for: "fp32" for a network that bf16 changes too
        much.
    """

    name: str
    request: BackboneRequest
    preprocess: Preprocess
    pretrained: bool
    load: Callable[[], nn.Module]
    outputs: tuple[BackboneOutput, ...]
    files: tuple[Path, ...] = ()
    precision: str = "auto"

    @cached_property
    def network(self) -> nn.Module:
        """The module, in evaluation mode, on the CPU.

        It maps normalised float32 ``(n, 3, height, width)`` to a tuple of ``(n, n_features)``, one
        per output.
        """
        return self.load()


@dataclass(frozen=True)
class BackboneInfo:
    """One row of ``featx backbones``.

    Parameters
    ----------
    name : str
        What ``--backbone`` takes.
    n_features : int or None
        Width of the pre-logits; None when it was not measured.
    size_px : tuple of int
        Height and width of the input.
    n_parameters : int or None
        Parameters of the whole network; None when it was not measured.
    on_this_machine : bool
        Whether the weights are on this machine.
    origin : str
        Where the weights come from: hub id or URL; empty when there are none.
    """

    name: str
    n_features: int | None
    size_px: tuple[int, int]
    n_parameters: int | None
    on_this_machine: bool
    origin: str

    def document(self) -> dict[str, Any]:
        """The row as JSON."""
        return {
            **asdict(self),
            "size_px": list(self.size_px),
            "embedded": self.embedded,
            "plugin": None if self.plugin is None else str(self.plugin),
        }

    @property
    def plugin(self) -> PluginOrigin | None:
        """The installed package that brings its source; None for featx's own sources."""
        return plugin_origin("featx.backbones", self.name.partition(":")[0])

    @property
    def embedded(self) -> bool:
        """Whether it comes with the package and needs no download."""
        return self.name.startswith("featx:")


@dataclass(frozen=True)
class LayerInfo:
    """One row of ``featx backbones NAME --layers``: a module whose output can be taken.

    Parameters
    ----------
    name : str
        What ``--layer`` takes.
    kind : str
        Class of the module.
    shape : tuple of int
        Shape of its output for one image.
    """

    name: str
    kind: str
    shape: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        """The row as JSON."""
        return {**asdict(self), "shape": list(self.shape)}


@dataclass(frozen=True)
class Fitted:
    """How a file's tensors became a network's.

    Parameters
    ----------
    absent : tuple of str
        Tensors of the head that the file lacks, and that timm tolerates to be lacking. The network
        has its own random ones: nothing that is taken out of it may depend on them.
    without : tuple of str
        Heads that the file lacks; the identity stands in their places.
    message : str
        What a person should know of it; may be empty.
    """

    absent: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class Features:
    """What a network itself calls its features: the map, or the tokens, before its own pooling.

    Parameters
    ----------
    layer : str, optional
        The module whose output they are.
    change : callable, optional
        What the network does to that output before it pools it.
    compute : callable, optional
        Where they are no module's output: from the module and the input to them. Anything but a
        tensor means that there is no one map to pool.
    channels_last : bool, default False
        Whether a map that ``compute`` gives is ``(n, height, width, channels)``.
    n_prefix_tokens : int, default 0
        Tokens that are no places at the beginning of what ``compute`` gives.
    has_cls_token : bool, default False
        Whether the first of them is a class token.
    """

    layer: str | None = None
    change: Callable[[Tensor], Tensor] | None = None
    compute: Callable[[nn.Module, Tensor], Any] | None = None
    channels_last: bool = False
    n_prefix_tokens: int = 0
    has_cls_token: bool = False


@dataclass(eq=False)
class Network:
    """What a source hands over: a module with what only its zoo knows about it.

    Parameters
    ----------
    module : torch.nn.Module
        The whole network, weights loaded.
    name : str
        Full name for people, with the weights' tag.
    architecture : dict
        JSON: the source, the name in it, and every argument that changes the computation.
    preprocess : Preprocess
        The weights' own.
    pretrained : bool
        Whether the weights are anything but random.
    heads : tuple of str
        Names of the modules that classify.
    pre_logits : callable, optional
        From the module, or a copy of it, and the input to the pre-logits ``(n, n_features)``;
        where there is none, the pre-logits are the (pooled) input of the first head.
    n_prefix_tokens : int, default 0
        Tokens before the patches in ``(n, tokens, channels)`` outputs.
    has_cls_token : bool, default False
        Whether the first of them is a class token.
    token_pooling : {"avg", "cls"}, default "avg"
        How this network itself pools tokens.
    channels_last : bool, default False
        Whether four-dimensional outputs are ``(n, height, width, channels)`` where their shape
        leaves it open.
    features : Features
        What ``--pooling`` without ``--layer`` pools.
    weights_file : Path, optional
        Where the weights were read from; None when they are random.
    precision : str, default "auto"
        See `Backbone`.
    fitted : Fitted
        How that file's tensors became the network's.
    """

    module: nn.Module
    name: str
    architecture: dict[str, Any]
    preprocess: Preprocess
    pretrained: bool
    heads: tuple[str, ...] = ()
    pre_logits: Callable[[nn.Module, Tensor], Tensor] | None = None
    n_prefix_tokens: int = 0
    has_cls_token: bool = False
    token_pooling: Literal["avg", "cls"] = "avg"
    channels_last: bool = False
    features: Features = Features()
    precision: str = "auto"
    weights_file: Path | None = None
    fitted: Fitted = Fitted()


class Source(Protocol):
    """A plug-in of this package."""

    summary: str

    def build(self, name: str, request: BackboneRequest, *, offline: bool) -> Network:
        """Build the network ``name`` (what stands after the colon) with its weights.

        Raises
        ------
        UnknownNameError
            The source has no such network, or no such weights for it.
        WeightsNotFoundError
            The weights are neither on this machine nor to be had.
        BackboneError
            The weights do not fit or are not safe to read.
        """

    def sketch(self, name: str) -> Network:
        """The same network without weights, on the meta device: shapes cost nothing there."""

    def names(self) -> list[str]:
        """Every name with weights that ``build`` accepts."""

    def info(self, name: str) -> BackboneInfo:
        """What is known of ``name`` without building it."""

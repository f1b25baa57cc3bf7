"""Plain records that cross floors: no behaviour beyond describing themselves."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from featx.record import Record

if TYPE_CHECKING:  # this module is loaded before numpy is needed
    import numpy as np
    from numpy.typing import NDArray

#: What is used where no backbone is named; the second where the package with the first one's
#: weights is not installed.
DEFAULT_BACKBONE, SMALL_BACKBONE = "featx:lite0", "featx:mini-v1"

#: What ``--layer`` takes beside the names of modules: the input of the classifier; every stage in
#: one embedding; every stage and the pre-logits as embeddings among which a search chooses.
PRE_LOGITS, STAGES_LAYER, AUTO_LAYER = "pre-logits", "stages", "auto"
#: What ``--backbone`` takes for a fit on what wins a race.
AUTO_BACKBONE = "auto"
#: What ``--resize`` takes for a search between the weights' own way and the whole image squashed,
#: and how the name of a backbone ends whose images are squashed beside its own way.
AUTO_RESIZE, SQUASHED = "auto", "@squash"

#: Arrays of any shape, as text: type checkers read it, and nothing is loaded for it.
AnyArray: TypeAlias = "NDArray[Any]"
FloatArray: TypeAlias = "NDArray[np.float64]"
IntArray: TypeAlias = "NDArray[np.int64]"
BoolArray: TypeAlias = "NDArray[np.bool_]"
Float32Array: TypeAlias = "NDArray[np.float32]"
UInt8Array: TypeAlias = "NDArray[np.uint8]"
#: An object of a JSON document, such as a part of ``results.json``.
Row: TypeAlias = Mapping[str, Any]

Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
ResizeMode = Literal["shortest", "squash"]
ResizeChoice = Literal["shortest", "squash", "auto"]
DecodeMode = Literal["reference", "scaled"]
FULL_RANGE = "full"

NotNegative = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

#: What stands for the backbone where rows of numbers were given, and for the data set where they
#: were in memory.
ARRAYS, IN_MEMORY = "arrays", "(arrays in memory)"
#: The estimate whose outer folds are the groups.
SITES = "leave-one-group-out"
#: What PCA keeps: everything, so many components, or this share of the variance.
Components = Literal["none"] | int | float


def canonical_json(document: Any) -> bytes:
    """Encode a JSON document so that equal documents give equal bytes.

    Keys sorted, no spaces, UTF-8, NaN refused.
    """
    text = json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"


def parse_range(text: str) -> tuple[float, float] | None:
    """The ends of a range of pixel values written LOW-HIGH; None for ``"full"``.

    Raises
    ------
    ValueError
        It is neither, or LOW is not below HIGH.
    """
    if text == FULL_RANGE:
        return None
    found = re.fullmatch(f"({_NUMBER})-({_NUMBER})", text)
    low, high = (float(end) for end in found.groups()) if found else (0.0, 0.0)
    if not (low < high and math.isfinite(high - low)):
        raise ValueError(
            f"{text!r} is not a range of pixel values: give full, auto or LOW-HIGH with LOW below "
            "HIGH, such as 0-4095"
        )
    return low, high


def range_text(low: float, high: float) -> str:
    """LOW-HIGH, as `parse_range` reads it to the last bit."""
    return "-".join(str(int(end)) if float(end).is_integer() else repr(end) for end in (low, high))


def _with_tuples(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record from its JSON document, where tuples have become lists."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}


@dataclass(frozen=True)
class Preprocess:
    """How an RGB image becomes the network's input.

    Parameters
    ----------
    size_px : tuple of int
        Height and width of the network's input, in pixels.
    resize : {"shortest", "squash"}
        ``"shortest"`` keeps the aspect: the short side is scaled to ``size_px / crop`` and the
        centre is cut out. ``"squash"`` scales both sides to ``size_px`` and cuts nothing.
    interpolation : str
        A Pillow resampling filter, antialiased.
    crop : float
        Fraction in (0, 1] of the resized short side that the centre crop keeps.
    mean, std : tuple of float
        Per-channel, for RGB scaled to [0, 1].
    decode : {"reference", "scaled"}
        ``"scaled"`` lets the JPEG decoder shrink an image to a half, a quarter or an eighth while
        at least twice the resized size is left.
    range : str
        ``"full"``, or the values LOW-HIGH that become black and white where an image has more than
        8 bits, for instance ``"0-4095"``.
    """

    size_px: tuple[int, int] = (224, 224)
    resize: ResizeMode = "shortest"
    interpolation: Interpolation = "bicubic"
    crop: float = 0.875
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    decode: DecodeMode = "reference"
    range: str = FULL_RANGE

    def document(self) -> dict[str, Any]:
        """Everything that changes a pixel or its normalisation, ready for JSON."""
        document = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        if self.decode == "reference":  # the meaning of documents older than the choice
            del document["decode"]
        if self.range == FULL_RANGE:
            del document["range"]
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Preprocess:
        """Build what ``document`` describes; TypeError where its keys are others."""
        return cls(**_with_tuples(document))


@dataclass(frozen=True)
class BackboneRequest:
    """What the user asked a backbone to be; enough to build it again.

    Parameters
    ----------
    name : str
        ``timm:<name>[.<tag>]``, ``torchvision:<name>[.<WEIGHTS>]`` or ``featx:<name>``.
    weights : str, optional
        A local safetensors, ``.pt`` or ``.pth`` file instead of the zoo's weights.
    pretrained : bool, default True
        False gives seeded random weights.
    layers : tuple of str, default ()
        Names of modules whose output to take; empty means pre-logits.
    poolings : tuple of str, default ()
        ``avg``, ``max``, ``avg+max``, ``cls`` or ``flatten``; empty means the backbone's own.
    separate : bool, default False
        One embedding (and store) per layer and pooling instead of one concatenation.
    size_px, crop, interpolation, resize : optional
        Overrides of the weights' own preprocessing.
    decode : {"reference", "scaled"}, default "reference"
        See `Preprocess`.
    range : str, default "full"
        See `Preprocess`.
    """

    name: str
    weights: str | None = None
    pretrained: bool = True
    layers: tuple[str, ...] = ()
    poolings: tuple[str, ...] = ()
    separate: bool = False
    size_px: int | None = None
    crop: float | None = None
    interpolation: Interpolation | None = None
    resize: ResizeMode | None = None
    decode: DecodeMode = "reference"
    range: str = FULL_RANGE

    def document(self) -> dict[str, Any]:
        """The request as a JSON document; ``from_document`` is its inverse."""
        document = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        if self.range == FULL_RANGE:  # older featx read it so, and knows no other
            del document["range"]
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> BackboneRequest:
        """Build the request that ``document`` describes."""
        return cls(**_with_tuples(document))


@dataclass(frozen=True)
class ExtractorSpec:
    """One extractor: a backbone with everything that changes an embedding.

    Parameters
    ----------
    document : mapping
        JSON document with at least ``backbone`` (str) and ``n_features`` (int); see
        ``docs/store.md`` for all keys. Its canonical JSON is what the fingerprint hashes.
    """

    document: Mapping[str, Any] = field(hash=False)

    @property
    def backbone(self) -> str:
        """Name of the backbone, for people."""
        return str(self.document["backbone"])

    @property
    def of_arrays(self) -> bool:
        """Whether no backbone embeds: rows of numbers were given."""
        return self.backbone == ARRAYS

    @property
    def n_features(self) -> int:
        """Width of one embedding."""
        return int(self.document["n_features"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return hashlib.sha256(canonical_json(dict(self.document))).hexdigest()

    @property
    def folder(self) -> str:
        """Name of the extractor's folder in a cache: a readable slug and 12 digits."""
        slug = "".join(c if c.isalnum() or c in "._" else "-" for c in self.backbone)
        return f"{slug[:80].strip('.-')}-{self.fingerprint[:12]}"


@dataclass(frozen=True)
class Failure:
    """One quarantined image.

    Parameters
    ----------
    id : str
        The row's id in the manifest.
    path : str
        Where the file is.
    sha256 : str or None
        Content hash in hexadecimal; None when the file could not be read.
    reason : str
        What was wrong.
    """

    id: str
    path: str
    sha256: str | None
    reason: str


class ExtractionReport(Record):
    """Counts and times of one extraction, which adds them up while it runs.

    ``read_s`` and ``decode_s`` are summed over the decoding threads, ``forward_s`` and
    ``commit_s`` over the forward and the committing thread; they overlap, so their sum exceeds
    ``elapsed_s`` where the machine was used well. ``setup_s`` is loading the backbone. ``narrow``
    is a sentence where 16-bit files that were decoded use a small part of their range only.
    """

    model_config = ConfigDict(frozen=False)

    images: int = 0
    cached: NotNegative = 0
    computed: NotNegative = 0
    duplicates: int = 0
    quarantined: int = 0
    views: int = 0
    views_computed: int = 0
    size_bytes: int = 0
    setup_s: float = 0.0
    read_s: float = 0.0
    decode_s: float = 0.0
    forward_s: float = 0.0
    commit_s: float = 0.0
    elapsed_s: Seconds = 0.0
    narrow: str | None = None

    def document(self) -> dict[str, Any]:
        """All of it, times to a tenth of a millisecond."""
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in self.model_dump().items()}

    def sentences(self) -> list[str]:
        """The report in words: what was done and how long it took, then where the time went."""
        computed = self.computed + self.views_computed
        rate = (computed / self.elapsed_s) if self.elapsed_s > 0 else 0.0
        unit = "embeddings" if self.views else "images"
        lines = [
            f"{self.images:,} images: {self.cached:,} cached, {self.computed:,} computed, "
            f"{self.quarantined:,} quarantined"
            + (f", {self.duplicates:,} equal files computed once" if self.duplicates else "")
        ]
        if self.views:
            lines[0] += f"; {self.views:,} augmented views: {self.views_computed:,} computed"
        lines[0] += f"; {self.elapsed_s:.1f} s"
        if computed:
            lines[0] += f" ({rate:,.0f} {unit}/s)"
            lines.append(
                f"Thread time: "
                f"read {self.read_s:.1f}, decode {self.decode_s:.1f}, "
                f"forward {self.forward_s:.1f}, commit {self.commit_s:.1f}; "
                f"loading the backbone {self.setup_s:.1f} s."
            )
        lines[0] += "."
        return lines

"""A model written as one network of another library, checked against featx itself."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.artifact import Model
from featx.config import DatasetConfig, ExportConfig, ExtractConfig
from featx.data.decode import decode_image
from featx.data.hashing import read_bytes
from featx.data.preprocess import preprocess_image
from featx.data.reader import read_manifest
from featx.errors import DecodeError, ModelError, UsageError
from featx.exports import NetworkPart
from featx.extraction import Extractor
from featx.extraction.rebuilding import rebuild_extractors
from featx.files import built_files, printable
from featx.ours import FileKind
from featx.outputs import Output
from featx.system_errors import writing


@dataclass(frozen=True)
class Exported:
    """What was written, and how far it is from featx.

    Parameters
    ----------
    path : str
        The file; OpenVINO's weights lie beside it.
    format : str
    classes : list of str
        In the order of the columns of ``probabilities``.
    n_images : int
        Images it was checked on.
    largest_difference, mean_difference : float
        Of any probability between the file and featx.
    other_class : int
        Images whose likeliest class is another.
    pixels_differing : float
        Share of the resized pixels that are not featx's own.
    largest_pixel_difference : int
        Of them, in levels of 255.
    """

    def __repr__(self) -> str:
        return (
            f"Exported {printable(self.path)!r}: {self.format}, {len(self.classes)} classes, "
            f"largest difference of a probability {self.largest_difference:.2g} over "
            f"{self.n_images} images"
        )

    path: str
    format: str
    classes: list[str]
    n_images: int
    largest_difference: float
    mean_difference: float
    other_class: int
    pixels_differing: float
    largest_pixel_difference: int

    def document(self) -> dict[str, Any]:
        """The record as JSON."""
        return asdict(self)


def check_images_of(model: Model, config: ExportConfig) -> str:
    """The folder or manifest of the images to check with; empty where none is known."""
    return config.images or str(model.provenance.get("dataset", ""))


@console.stage("Writing the network")
def write_network(
    model: Model, config: ExportConfig, extract: ExtractConfig, exporter: Any, target: Path
) -> Exported:
    """Trace the model, write it as ``target`` and check what was written, image by image.

    Parameters
    ----------
    model : Model
    config : ExportConfig
    extract : ExtractConfig
        ``weights``, ``device`` and ``offline`` are read.
    exporter : object
        Of `featx.exports`, whose libraries are there.
    target : Path
        Claimed; see `network_outputs`.

    Raises
    ------
    ModelError
        It cannot be exported, or differs by more than the tolerance; nothing is left behind.
    UsageError
        There are no images to check with.
    """
    if model.tabular is not None:
        raise ModelError(
            f"This model takes other columns too: {model.tabular}. A network of images alone "
            "cannot have them.",
            hint="Score with featx score, or fit without --tabular and export that model.",
        )
    paths, images = _check_images(model, config)
    extractors = rebuild_extractors(model, extract, paths)
    parts = [
        NetworkPart(extractor.plan.backbone.network, extractor.columns()[0], extractor.preprocess)
        for extractor in extractors
    ]
    from featx.exports._graph import pixels, whole_network

    network = whole_network(model, parts)
    expected, resized = _own(model, extractors, images)
    console.detail(f"tracing the network for {config.to}")
    names = [target.with_suffix(s).name for s in (*exporter.companions, exporter.suffix)]
    with writing("the network", target), built_files(target.parent, names) as folder:
        trial = folder / target.name
        exporter.write(network, trial, _metadata(model))
        arrays = [np.array(image) for image in images]
        proba = np.concatenate([exporter.run(trial, array[None]) for array in arrays])
        made = [pixels(part, array) for part in parts for array in arrays]
        done = _compared(model, target, config.to, (proba, expected), (made, resized))
        if done.largest_difference > config.tolerance:
            raise _too_far(done, config.tolerance)
    return done


def network_outputs(target: Path, exporter: Any, *, overwrite: bool) -> list[Output]:
    """The file and what lies beside it, to be claimed before any work is done."""
    kind = FileKind("a network", _is_network, room_bytes=1 << 22)
    suffixes = (exporter.suffix, *exporter.companions)
    return [Output(target.with_suffix(suffix), "-o", kind, overwrite) for suffix in suffixes]


def _is_network(path: Path) -> bool:
    """Whether a network says that featx exported it; weights beside one are told by it."""
    with path.open("rb") as file:
        if path.suffix == ".bin":
            return _is_network(path.with_suffix(".xml"))
        if path.suffix == ".xml":
            text = file.read()
            return text.startswith(b"<?xml") and b"<featx>" in text
        if file.read(1) != b"\x08":  # the first field of every ONNX file, its version
            return False
        file.seek(max(0, path.stat().st_size - (1 << 20)))  # what is said of it stands at the end
        return b"\x0a\x05featx\x12" in file.read()  # a key of the format's metadata


def _check_images(model: Model, config: ExportConfig) -> tuple[list[str], list[Any]]:
    """Images to compare on, spread over the data set; those that cannot be read are passed over."""
    source = check_images_of(model, config)
    if not config.images and not (source and Path(source).exists()):
        raise UsageError(
            f"The data set {printable(source)!r} that the model was fitted on was not found, and "
            "featx checks an export on real images.",
            hint="Name a folder of images: --images FOLDER",
        )
    found = read_manifest(DatasetConfig(dataset=source), labelled=False).paths
    paths, images = [], []
    order = np.unique(np.linspace(0, len(found) - 1, 2 * config.n_images).astype(int))
    for path in (found[i] for i in np.random.default_rng(0).permutation(order)):
        try:
            images.append(decode_image(read_bytes(path)))
        except DecodeError:
            continue
        paths.append(path)
        if len(paths) == config.n_images:
            break
    if not paths:
        raise UsageError(f"None of the images tried in {printable(source)!r} can be read.")
    return paths, images


def _own(
    model: Model, extractors: Sequence[Extractor], images: Sequence[Any]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Probabilities that featx gives, and the pixels that its backbones see."""
    columns: list[np.ndarray] = []
    resized: list[np.ndarray] = []
    for extractor in extractors:
        batch = np.stack([preprocess_image(image, extractor.preprocess) for image in images])
        columns.append(extractor.start().embed(batch)[extractor.columns()[0]])
        resized.extend(batch)
    return model.predict_proba(np.hstack(columns)), resized


def _compared(
    model: Model,
    target: Path,
    name: str,
    probabilities: tuple[np.ndarray, np.ndarray],
    pixels: tuple[list[np.ndarray], list[np.ndarray]],
) -> Exported:
    proba, expected = probabilities
    apart = np.abs(proba - expected)
    made, resized = (np.concatenate([p.ravel() for p in each]).astype(int) for each in pixels)
    return Exported(
        path=str(target),
        format=name,
        classes=list(model.classes),
        n_images=len(expected),
        largest_difference=float(apart.max()),
        mean_difference=float(apart.mean()),
        other_class=int((proba.argmax(axis=1) != expected.argmax(axis=1)).sum()),
        pixels_differing=float((made != resized).mean()),
        largest_pixel_difference=int(np.abs(made - resized).max()),
    )


def _too_far(done: Exported, tolerance: float) -> ModelError:
    return ModelError(
        f"The {done.format} network does not match the model: over {done.n_images} images a "
        f"probability differs by up to {done.largest_difference:.2g} (mean "
        f"{done.mean_difference:.2g}), above {tolerance:g}; the likeliest class differs for "
        f"{done.other_class}.",
        hint="A model fitted in bf16 or fp16 differs more: fit it with --precision fp32, or accept "
        "the difference with --tolerance.",
    )


def _metadata(model: Model) -> dict[str, str]:
    """Facts for whoever opens the file."""
    return {
        "classes": json.dumps(list(model.classes)),
        "input": "images: uint8 RGB, (n, height, width, 3), upright, any size, one size a batch",
        "outputs": "probabilities: float32 (n, n_classes); predicted: int64 (n,), class index",
        "backbones": json.dumps([spec.backbone for spec in model.specs]),
        "featx": importlib.metadata.version("featx"),
    }

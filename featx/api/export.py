"""`featx.export_model`: a model as one network of another library, held against featx itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx import __version__, console
from featx.api._options import sections
from featx.artifact import Model, load_model
from featx.config import DatasetConfig, ExportConfig, ExtractConfig
from featx.data.decode import decode_image
from featx.data.hashing import read_bytes
from featx.data.preprocess import preprocess_image
from featx.data.reader import read_manifest
from featx.errors import DecodeError, ModelError, UsageError
from featx.exports import EXPORTERS, Part
from featx.extraction import Extractor
from featx.extraction.rebuilding import rebuild_extractors
from featx.extraction.used import used_by
from featx.files import fsync_directory, hidden_name, printable
from featx.ours import FileKind
from featx.outputs import Output, Used, claimed
from featx.system_errors import writing

__all__ = ["Exported", "export_model"]


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


def export_model(
    model: Model | str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    config: ExportConfig | None = None,
    extract: ExtractConfig | None = None,
    **options: Any,
) -> Exported:
    """Write preprocessing, backbone, head and calibration as one network, and check it.

    The network takes ``images``, uint8 RGB of shape (n, height, width, 3), upright and of any
    size, and gives ``probabilities``, float32 (n, n_classes), and ``predicted``, int64 (n,), the
    index of the class that featx decides for. It is fp32 whatever the model was fitted with.

    Parameters
    ----------
    model : Model or path
        What `featx.load_model` takes.
    output : path, optional
        File to write. Default None is the model's own name with the format's suffix.
    config : ExportConfig, optional
        Format and check.
    extract : ExtractConfig, optional
        ``weights``, ``device`` and ``offline`` are read.
    **options
        Fields of both, instead of them.

    Returns
    -------
    Exported

    Raises
    ------
    UsageError
        The output exists, or there are no images to check with.
    MissingExtraError
        A library of the format is not installed.
    ModelError
        The head or the network cannot be exported, or the file's probabilities differ from
        featx's by more than the tolerance; then nothing is left behind.
    """
    given = sections(options, ExportConfig, ExtractConfig)
    config, extract = config or given[0], extract or given[1]
    exporter = EXPORTERS.get(config.to)
    exporter.require()
    loaded = model if isinstance(model, Model) else load_model(model)
    target = _target(model, output or config.output, exporter)
    source = config.images or str(loaded.provenance.get("dataset", ""))
    used = [Used("the images", source)] if source else []
    outputs = _outputs(target, exporter, overwrite=config.overwrite)
    with claimed(outputs, [*used, *used_by(extract=extract, model=model)]) as claims:
        return _export(loaded, config, extract, exporter, claims.place(target))


def _export(
    loaded: Model, config: ExportConfig, extract: ExtractConfig, exporter: Any, target: Path
) -> Exported:
    """The export itself, once its files are claimed."""
    paths, images = _check_images(loaded, config)
    extractors = rebuild_extractors(loaded, extract, paths)
    parts = [
        Part(extractor.plan.backbone.network, extractor.columns()[0], extractor.preprocess)
        for extractor in extractors
    ]
    from featx.exports._graph import pixels, whole_network

    network = whole_network(loaded, parts)
    own, resized = _own(loaded, extractors, images)
    building = hidden_name(target, "tmp")
    building.mkdir()
    trial = building / target.name
    console.detail(f"tracing the network for {config.to}")
    try:
        with writing("the network", target):
            exporter.write(network, trial, _metadata(loaded))
            arrays = [np.array(image) for image in images]
            said = np.concatenate([exporter.run(trial, array[None]) for array in arrays])
            made = [pixels(part, array) for part in parts for array in arrays]
            done = _compared(loaded, target, config.to, (said, own), (made, resized))
            if done.largest_difference > config.tolerance:
                raise _too_far(done, config.tolerance)
            for suffix in (*exporter.companions, exporter.suffix):
                os.replace(trial.with_suffix(suffix), target.with_suffix(suffix))  # noqa: PTH105
            fsync_directory(target.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)  # made above, and nobody else knows of it
    return done


def _target(model: Any, output: str | os.PathLike[str] | None, exporter: Any) -> Path:
    """Where the file goes."""
    if output is None:
        if isinstance(model, Model):
            raise UsageError("A model in memory has no name: give the output file.")
        output = Path(model).absolute().name.removesuffix(".featx") + exporter.suffix
    target = Path(output).absolute()
    if target.suffix != exporter.suffix:
        raise UsageError(
            f"The output {printable(target.name)!r} should end in {exporter.suffix!r}."
        )
    return target


def _outputs(target: Path, exporter: Any, *, overwrite: bool) -> list[Output]:
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
        if file.read(1) != b"\x08":  # the first field of the format, its version
            return False
        file.seek(max(0, path.stat().st_size - (1 << 20)))  # the metadata is at the end
        return b"\x0a\x05featx\x12" in file.read()  # a key of it


def _check_images(model: Model, config: ExportConfig) -> tuple[list[str], list[Any]]:
    """Images to compare on, spread over the data set; those that cannot be read are passed over."""
    source = config.images or str(model.provenance.get("dataset", ""))
    if not config.images and not (source and Path(source).exists()):
        raise UsageError(
            f"The data set {printable(source)!r} that the model was fitted on is not here, and an "
            "export is checked on real images.",
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
    said, own = probabilities
    apart = np.abs(said - own)
    made, resized = (np.concatenate([p.ravel() for p in each]).astype(int) for each in pixels)
    return Exported(
        path=str(target),
        format=name,
        classes=list(model.classes),
        n_images=len(own),
        largest_difference=float(apart.max()),
        mean_difference=float(apart.mean()),
        other_class=int((said.argmax(axis=1) != own.argmax(axis=1)).sum()),
        pixels_differing=float((made != resized).mean()),
        largest_pixel_difference=int(np.abs(made - resized).max()),
    )


def _too_far(done: Exported, tolerance: float) -> ModelError:
    return ModelError(
        f"The {done.format} network is not the model: over {done.n_images} images a probability "
        f"differs by up to {done.largest_difference:.2g} (mean {done.mean_difference:.2g}), above "
        f"{tolerance:g}; the likeliest class is another for {done.other_class}.",
        hint="A model fitted in bf16 or fp16 differs more: fit it with --precision fp32, or accept "
        "the difference with --tolerance.",
    )


def _metadata(model: Model) -> dict[str, str]:
    """What the file says of itself."""
    return {
        "classes": json.dumps(list(model.classes)),
        "input": "images: uint8 RGB, (n, height, width, 3), upright, any size, one size a batch",
        "outputs": "probabilities: float32 (n, n_classes); predicted: int64 (n,), class index",
        "backbones": json.dumps([spec.backbone for spec in model.specs]),
        "featx": __version__,
    }

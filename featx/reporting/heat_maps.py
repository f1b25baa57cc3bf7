"""Where in the images that a report shows a run's model finds what it decides by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from featx import console
from featx.artifact import Model
from featx.backbones import explain
from featx.data.decode import decode_for
from featx.data.hashing import read_bytes
from featx.data.preprocess import preprocess_image, resized_size
from featx.errors import DecodeError, FeatxError
from featx.files import printable
from featx.reporting.contents import Heat, Heats, Subject
from featx.reporting.gallery import least_certain, other, worst_mistakes
from featx.types import Preprocess

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]


@console.stage("Computing heat maps")
def find_heats(subject: Subject, model: Model) -> Heats:
    """Heat maps of the worst mistakes and the least certain images.

    Parameters
    ----------
    subject : Subject
        With its embedded images.
    model : Model
        Of the run.

    Returns
    -------
    Heats
        Of the predicted class over the true one or, where that is it, the next likeliest. None, and
        half a sentence why, where the head is not linear, several backbones lie side by side, or
        the backbone's embedding is no average or maximum over places.
    """
    why = why_none(model)
    if why is not None:
        return Heats(missing=why)
    [extractor] = model.extractors
    preprocess = Preprocess.from_document(extractor.document["preprocess"])
    seen = _seen(subject, preprocess)
    if not seen:
        return Heats()
    pairs = [_pair(subject, row) for row in seen]
    pixels = np.stack([image for image, _ in seen.values()])
    boxes = [box for _, box in seen.values()]
    found = _explained(model, pixels, boxes, pairs)
    assert subject.embedded is not None
    of = dict(zip(seen, found.of.values(), strict=True)) if found.of else {}
    return replace(found, of=of, fitted_on=bool(of) and not subject.embedded.tested.any())


def why_none(model: Model) -> str | None:
    """Half a sentence why a model has no heat maps, empty for arrays; None where it may have."""
    if model.planes() is None:
        return "its head is not linear in the embeddings"
    if len(model.extractors) > 1:
        return "several backbones lie side by side"
    return "" if model.extractors[0].spec.of_arrays else None


def heat_of(model: Model, data: bytes, y_pred: int, against: int) -> Heats:
    """The heat map of one image, as row 0.

    Parameters
    ----------
    model : Model
    data : bytes
        The image's file.
    y_pred, against : int
        The map shows what speaks for the first rather than the second.

    Raises
    ------
    DecodeError
        The image cannot be read.
    """
    why = why_none(model)
    if why is not None:
        return Heats(missing=why)
    preprocess = Preprocess.from_document(model.extractors[0].document["preprocess"])
    pixels, box = _what_is_seen(data, preprocess)
    return _explained(model, np.stack([pixels]), [box], [(y_pred, against)])


def _explained(
    model: Model, pixels: Pixels, boxes: Sequence[Box], pairs: Sequence[tuple[int, int]]
) -> Heats:
    """Maps of images in their order, or why there are none."""
    planes, [extractor] = model.planes(), model.extractors
    assert planes is not None
    along = np.array([planes[0][y_pred] - planes[0][against] for y_pred, against in pairs])
    try:
        found = explain(extractor.backbone_request, extractor.document, pixels, along)
    except FeatxError as error:
        return Heats(missing=f"the backbone cannot be run ({printable(error.message)})".rstrip("."))
    if found is None:
        return Heats(missing="the embedding is no average or maximum over places of the image")
    of = {i: Heat(m, box) for i, (m, box) in enumerate(zip(found.maps, boxes, strict=True))}
    return Heats(kind=found.kind, of=of)


def _pair(subject: Subject, row: int) -> tuple[int, int]:
    """The predicted class, and the one it is compared with."""
    y_pred = int(subject.y_pred[row])
    return y_pred, other(subject.proba[row], int(subject.y[row]), y_pred)


def _seen(subject: Subject, preprocess: Preprocess) -> dict[int, tuple[Pixels, Box]]:
    """By row: what the backbone sees of each image that the galleries show, and where in it.

    Images that are not there, or can no longer be read, are left out.
    """
    assert subject.embedded is not None
    path = dict(zip(subject.embedded.ids, subject.embedded.paths, strict=True))
    seen: dict[int, tuple[Pixels, Box]] = {}
    for row in [*worst_mistakes(subject).tolist(), *least_certain(subject).tolist()]:
        if subject.ids[row] not in path:
            continue
        try:
            seen[row] = _what_is_seen(read_bytes(path[subject.ids[row]]), preprocess)
        except DecodeError:
            continue
    return seen


def _what_is_seen(data: bytes, preprocess: Preprocess) -> tuple[Pixels, Box]:
    """What the backbone sees of an image, and where in it that is."""
    image = decode_for(data, preprocess)
    height, width = resized_size(image.height, image.width, preprocess)
    down, across = preprocess.size_px[0] / height / 2, preprocess.size_px[1] / width / 2
    box = (0.5 - across, 0.5 - down, 0.5 + across, 0.5 + down)
    return preprocess_image(image, preprocess), box

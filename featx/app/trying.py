"""What a run's model says of one image: shares, set, heat map, nearest training images."""

from __future__ import annotations

import io
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from featx.adapters._kept import kept_extractors
from featx.app.run_desk import RunDesk
from featx.config import ExtractConfig, ScoreConfig
from featx.data.decode import decode_image
from featx.data.hashing import read_bytes
from featx.data.manifest import Manifest, Row
from featx.errors import DecodeError, UsageError
from featx.extraction.rebuilding import rebuild_extractors
from featx.reporting.gallery import other
from featx.reporting.heat import heat_words, overlay
from featx.reporting.heat_maps import heat_of
from featx.reporting.nearest import Nearest
from featx.runs import Run
from featx.scoring.folder import predict_rows
from featx.scoring.scores import Scores
from featx.types import Preprocess

HEAT_PX = 1024
MOST_SHARES = 8
MOST_TRIED = 50  # images whose files are kept, in memory


@dataclass
class _Tried:
    """An image that a person gave: its file, and what was predicted."""

    data: bytes
    y_pred: int
    against: int


class Judge:
    """The model of a run, asked about single images; it is loaded when it is first asked.

    Parameters
    ----------
    run : Run
    desk : RunDesk
    extract : ExtractConfig
        How new images are embedded here.
    """

    def __init__(self, run: Run, desk: RunDesk, extract: ExtractConfig) -> None:
        self._run, self._desk = run, desk
        self._extract = extract.model_copy(update={"cache": None, "views": 0, "weights": None})
        self._lock = threading.Lock()  # one network at a time
        self._tried: OrderedDict[int, _Tried] = OrderedDict()

    @cached_property
    def _nearest(self) -> Nearest | None:
        subject = self._desk.subject
        return None if subject.embedded is None else Nearest(subject, subject.embedded)

    def about(self, i: int) -> dict[str, Any]:
        """Likeliest classes of an evaluated image, and the training images nearest to it."""
        if not 0 <= i < len(self._desk.rows):
            raise UsageError("There is no such image.")
        subject, row = self._desk.subject, int(self._desk.rows[i])
        with self._lock:
            nearest = [] if self._nearest is None else self._nearest.of_row(row)
        return {
            "shares": _shares(subject.classes, subject.proba[row]), "nearest": self._named(nearest),
            "notes": [subject.missing] if subject.missing else [],
        }  # fmt: skip

    def heat(self, i: int) -> tuple[bytes, str]:
        """An evaluated image under its heat map, as WebP, and what it shows in words.

        Raises
        ------
        UsageError, DecodeError
            There is no map, for the reason that the message has; or the image cannot be read.
        """
        if not 0 <= i < len(self._desk.rows) or not self._desk.paths[i]:
            raise UsageError("The image is not there.")
        evaluation = self._run.results.evaluation
        if evaluation is not None and evaluation.unknown_classes:
            raise UsageError("No heat map: the images have classes that the model does not know.")
        subject, row = self._desk.subject, int(self._desk.rows[i])
        y_pred = int(subject.y_pred[row])
        against = other(subject.proba[row], int(subject.y[row]), y_pred)
        data, words = self._heat(read_bytes(self._desk.paths[i]), y_pred, against)
        if subject.fold[row] >= 0:  # another model judged it, which is gone
            words += " The map is of the saved model, which was fitted on this image too."
        return data, words

    def heat_of_tried(self, k: int) -> tuple[bytes, str]:
        """The same for an image that was given."""
        tried = self._given(k)
        return self._heat(tried.data, tried.y_pred, tried.against)

    def picture_of_tried(self, k: int) -> bytes:
        """An image that was given, as WebP."""
        return _webp(_picture(self._given(k).data))

    def _given(self, k: int) -> _Tried:
        if k not in self._tried:
            raise UsageError("That image is no longer kept: give it again.")
        return self._tried[k]

    def _heat(self, data: bytes, y_pred: int, against: int) -> tuple[bytes, str]:
        model = self._run.model
        with self._lock:
            heats = heat_of(model, data, y_pred, against)
        if 0 not in heats.of:
            raise UsageError(f"No heat map: {heats.missing or 'there are no pictures of arrays'}.")
        names = model.classes[y_pred], model.classes[against]
        words = heat_words(heats.of[0], heats.kind, *names)
        return _webp(overlay(_picture(data), heats.of[0])), words

    def judge(self, data: bytes, name: str) -> dict[str, Any]:
        """What the model says of an image that a person gave.

        Parameters
        ----------
        data : bytes
            The image's file.
        name : str
            For the page.

        Raises
        ------
        DecodeError
            The file cannot be read as an image.
        FeatxError
            The model cannot be used here.
        """
        model = self._run.model
        if model.specs[0].of_arrays:
            raise UsageError("This model takes arrays of numbers, and no images.")
        scores, x = self._scored(data)
        p = scores.probabilities[0]
        y_pred = int(scores.y_pred[0])
        against = other(p, y_pred, y_pred) if len(p) > 1 else y_pred
        with self._lock:
            k = max(self._tried, default=-1) + 1
            known = self._nearest
            nearest = [] if known is None else known.of_embedding(x)
        item = {
            "i": -1 - k, "id": name, "y": None, "y_pred": model.classes[y_pred],
            "p": float(p[y_pred]), "d": None, "mark": "",
            "small": f"tried/{k}", "large": f"tried/{k}",
            "about": {
                "shares": _shares(model.classes, p), "nearest": self._named(nearest),
                "notes": _notes(scores),
            },
        }  # fmt: skip
        with self._lock:
            self._tried[k] = _Tried(data, y_pred, against)
            while len(self._tried) > MOST_TRIED:
                self._tried.popitem(last=False)
        return item

    def _scored(self, data: bytes) -> tuple[Scores, Any]:
        model = self._run.model
        with tempfile.TemporaryDirectory(prefix="featx-tried-") as folder:
            path = Path(folder, "image")
            path.write_bytes(data)
            manifest = Manifest(root=folder, source=folder, rows=(Row("image", str(path)),))
            key = f"page {self._run.folder} {model.specs[0].fingerprint}"
            with self._lock:
                kept = kept_extractors(
                    key, lambda: rebuild_extractors(model, self._extract, manifest.paths)
                )
            found = kept.run(manifest, self._extract, remember=False)
            if found[0].failures:
                raise DecodeError(f"The file cannot be read: {found[0].failures[0].reason}.")
            scores = predict_rows(model, found, ScoreConfig())
            return scores, np.hstack([e.X[0] for e in found])

    def _named(self, nearest: Sequence[tuple[int, float]]) -> list[dict[str, Any]]:
        subject = self._desk.subject
        embedded = subject.embedded
        if embedded is None:
            return []
        return [
            {"i": self._desk.number[embedded.ids[k]], "id": embedded.ids[k], "cosine": cosine,
             "label": subject.classes[int(embedded.y[k])] if embedded.y[k] >= 0 else ""}
            for k, cosine in nearest
        ]  # fmt: skip


def _shares(classes: Sequence[str], p: Any) -> list[list[Any]]:
    """The likeliest classes with their probabilities."""
    order = np.argsort(-p, kind="stable")[:MOST_SHARES]
    return [[classes[k], float(p[k])] for k in order]


def _notes(scores: Scores) -> list[str]:
    """The prediction set, and why the answer may not be relied on."""
    found = []
    if scores.sets is not None:
        names = [
            name for name, inside in zip(scores.classes, scores.sets[0], strict=True) if inside
        ]
        found.append(f"Prediction set: {', '.join(names)}.")
    if scores.abstained is not None and scores.abstained[0]:
        found.append("The model abstains: it cannot tell these classes apart here.")
    if scores.ood is not None and scores.ood[0]:
        found.append("Out of distribution: the image is unlike the training images.")
    return found


def _picture(data: bytes) -> Image.Image:
    image = decode_image(data, scaled_for=Preprocess((HEAT_PX, HEAT_PX), crop=1.0))
    image.thumbnail((HEAT_PX, HEAT_PX), Image.Resampling.LANCZOS)
    return image


def _webp(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=88, method=2)
    return buffer.getvalue()

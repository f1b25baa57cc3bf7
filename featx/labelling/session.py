"""A labelling of one folder: what to look at next, what was decided, how good the head is."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featx.config import DatasetConfig, ExtractConfig
from featx.data.opening import open_data
from featx.errors import UsageError
from featx.extraction.embedding import extract_manifest
from featx.files import printable
from featx.labelling.choosing import Known, choose, random_order, unit_rows
from featx.labelling.exchange import ReadLabels, export_labels, read_labels
from featx.labelling.head import QuickHead, Space, codes_of
from featx.labelling.judging import Evidence, Judgement, judge
from featx.labelling.log import Action, Chosen, LabelEvent, LabelLog
from featx.labelling.progress import LabellingProgress, summarise
from featx.types import BoolArray, Float32Array, IntArray


@dataclass(frozen=True)
class LabelSuggestion:
    """An image to label.

    Parameters
    ----------
    id, path : str
        As in a manifest: the id is relative to the folder, the path absolute.
    reason : {"random", "doubt", "spread", "rare", "similar"}
        Why it is shown.
    y_pred : str, optional
        The class that the head predicts; None before there are two classes.
    proba : dict of str to float
        Probability of each class, empty before there are two.
    """

    id: str
    path: str
    reason: Chosen
    y_pred: str | None
    proba: dict[str, float]


def log_beside(folder: str | os.PathLike[str]) -> Path:
    """The file of labels where none is named: ``NAME-labels.jsonl`` in the current folder."""
    name = Path(folder).absolute().name or "images"
    return Path.cwd() / f"{name}-labels.jsonl"


class LabellingSession:
    """A labelling of one folder; `open` makes one.

    All methods may be called by several threads.

    Attributes
    ----------
    folder : str
    ids, paths : list of str
        Of the images that could be read, in the folder's order.
    log : LabelLog
    """

    def __init__(
        self,
        folder: str,
        ids: Sequence[str],
        paths: Sequence[str],
        X: Float32Array,
        log: LabelLog,
        *,
        copies: IntArray | None = None,
        seed: int = 0,
        random_share: float = 0.25,
        batch: int = 20,
        enough: float = 0.01,
    ) -> None:
        if not 0 <= random_share <= 1:
            raise UsageError(f"random_share is {random_share:g}; it is a share from 0 to 1.")
        if batch < 1:
            raise UsageError(f"batch is {batch}; it is at least 1.")
        self.folder, self.ids, self.paths, self.log = folder, list(ids), list(paths), log
        self.seed, self.random_share, self.batch, self.enough = seed, random_share, batch, enough
        self.copies = np.arange(len(self.ids)) if copies is None else copies
        self._at = {id: row for row, id in enumerate(self.ids)}
        self._space = Space.of(X, seed)
        order = random_order(self.ids, seed)
        # Of exact copies the first in this order stands for all, everywhere below.
        self._order = order[np.sort(np.unique(self.copies[order], return_index=True)[1])]
        self._guard = threading.RLock()
        self._fitted: dict[str, str] = {}
        self._known = Known(self._space.Z, None, np.empty(0, np.int64), np.empty(0, np.int64))
        self._classes: list[str] = []
        self._judged: tuple[object, Judgement] = (None, Judgement())
        self._shown: dict[str, tuple[Chosen, int]] = {}
        self._steps: list[str] = []
        events = log.events()
        self._batches = max((event.batch for event in events), default=0)
        asked = {event.id for event in events if event.chosen == "random"}
        places = [i for i, row in enumerate(self._order) if self.ids[row] in asked]
        self._n_drawn = places[-1] + 1 if places else 0  # of the random order, handed out so far

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        cache: str | os.PathLike[str] | None = None,
        backbone: str | None = None,
        log: LabelLog | str | os.PathLike[str] | None = None,
        extract: ExtractConfig | None = None,
        seed: int = 0,
        random_share: float = 0.25,
        batch: int = 20,
        enough: float = 0.01,
    ) -> LabellingSession:
        """Embed a folder, as far as the cache does not have it, and read its labels.

        Parameters
        ----------
        folder : path
            Images, in subfolders or not; or a manifest file.
        cache, backbone : optional
            As for `featx.extract`.
        log : path or LabelLog, optional
            The file of labels. Default None is `log_beside`.
        extract : ExtractConfig, optional
            In the place of ``cache`` and ``backbone``.
        seed : int, default 0
        random_share : float, default 0.25
            Share of each batch that is drawn at random; the estimate rests on it.
        batch : int, default 20
            Images in a batch.
        enough : float, default 0.01
            `progress` says stop when the next 100 labels surely add less than this.

        Raises
        ------
        UsageError, DatasetError, BackboneError, StoreError
            See `featx.extract`; also a log that is no file of labels.
        """
        if extract is None:
            extract = ExtractConfig(
                cache=None if cache is None else os.fspath(cache),
                backbone=[] if backbone is None else [backbone],
            )
        labels = log if isinstance(log, LabelLog) else LabelLog(log or log_beside(folder))
        manifest = open_data(DatasetConfig(dataset=os.fspath(folder)), labelled=False)
        found = extract_manifest(manifest, extract, allow_memory=True)
        found[0].require_any()
        X = found[0].X if len(found) == 1 else np.hstack([e.X for e in found])
        rows = [row for row, ok in zip(manifest.rows, found[0].ok, strict=True) if ok]
        ids, paths = [row.id for row in rows], [row.path for row in rows]
        return cls(
            os.fspath(folder), ids, paths, X, labels, copies=found[0].copies, seed=seed,
            random_share=random_share, batch=batch, enough=enough,
        )  # fmt: skip

    def next_batch(self, n: int | None = None, *, fill: bool = False) -> list[LabelSuggestion]:
        """Images to label next, a share of them at random.

        Images that were labelled, skipped, unsure or excluded do not come again.

        Parameters
        ----------
        n : int, optional
            Default None is ``batch`` of the session.
        fill : bool, default False
            Draw the whole random share anew, also where images that come next in the random order
            are labelled already, which otherwise join the random part in its place.
        """
        n = self.batch if n is None else n
        with self._guard:
            self._refit()
            self._batches += 1
            rng = np.random.default_rng([self.seed, self._batches])
            free = self._free()
            drawn = self._draw(free, round(self.random_share * n), fill)
            free[drawn] = False
            chosen = choose(self._known, free, n - len(drawn), rng)
            rows = np.concatenate([drawn, chosen.rows])
            reasons: list[Chosen] = ["random" for _ in drawn]
            reasons += chosen.reasons
            mixed = rng.permutation(len(rows))
            return self._suggest(rows[mixed], [reasons[i] for i in mixed], self._batches)

    def _draw(self, free: BoolArray, n: int, fill: bool) -> IntArray:
        """The next ``n`` of the random order, after those that were shown and not decided on.

        One that has a label already costs none: it joins the random part as it is. So the random
        part is always the first images of the order, whatever was chosen beside it.
        """
        left = [row for row in self._order[: self._n_drawn] if free[row]][:n]
        end = self._n_drawn + n - len(left)
        if fill:
            there = self._n_drawn + np.flatnonzero(free[self._order[self._n_drawn :]])
            end = int(there[: n - len(left)].max(initial=self._n_drawn - 1)) + 1
        left += [row for row in self._order[self._n_drawn : end] if free[row]]
        self._n_drawn = min(end, len(self._order))
        return np.array(left, np.int64)

    def similar(self, ids: Sequence[str], n: int = 24) -> list[LabelSuggestion]:
        """The images without a decision that are most like these, the nearest first."""
        with self._guard:
            rows = self._rows(ids)
            free = self._free()
            free[rows] = False
            unit = unit_rows(self._space.Z)
            closeness = (unit @ unit[rows].T).max(axis=1)
            closeness[~free] = -np.inf
            nearest = np.argsort(-closeness, kind="stable")[: min(n, int(free.sum()))]
            return self._suggest(nearest, ["similar"] * len(nearest), self._batches)

    def label(self, ids: Sequence[str], label: str) -> None:
        """Give images a class, which is named by that where it is new."""
        if not label.strip():
            raise UsageError("The name of a class is empty.", hint="Give it a name.")
        self._decide(ids, "label", label)

    def skip(self, ids: Sequence[str]) -> None:
        """Put images aside; they do not come again."""
        self._decide(ids, "skip")

    def unsure(self, ids: Sequence[str]) -> None:
        """Note that the class of images cannot be told."""
        self._decide(ids, "unsure")

    def exclude(self, ids: Sequence[str]) -> None:
        """Note that images do not belong to the data set."""
        self._decide(ids, "exclude")

    def undo(self) -> list[str]:
        """Take back the last step of this session; the ids of its images, none at the start."""
        with self._guard:
            if not self._steps:
                return []
            step = self._steps.pop()
            ids = [event.id for event in self.log.events() if event.step == step and event.id]
            self.log.undo(step)
            return ids

    def classes(self) -> list[str]:
        """The classes in the order in which they were named."""
        return self.log.classes()

    def progress(self, *, judged: bool = True) -> LabellingProgress:
        """How far the labelling is.

        Parameters
        ----------
        judged : bool, default True
            False leaves out the estimate and the curve, which take up to some seconds where they
            are not known yet. Labels can be given meanwhile.
        """
        with self._guard:
            decisions = {id: e for id, e in self.log.decisions().items() if id in self._at}
            labels = {id: str(e.label) for id, e in decisions.items() if e.action == "label"}
            evidence = self._evidence(labels)
            key, found = self._judged
            counts = dict.fromkeys(self.classes(), 0)
        state = (labels, self._n_drawn)
        if judged and state != key:
            found = judge(evidence)
            with self._guard:
                self._judged = (state, found)
        for label in labels.values():
            counts[label] += 1
        return summarise(
            Counter(event.action for event in decisions.values()),
            counts,
            found if judged else Judgement(),
            n_images=len(self.ids),
            n_random=int(evidence.drawn.sum()),
            enough=self.enough,
        )

    def _evidence(self, labels: dict[str, str]) -> Evidence:
        """The labels as they are judged; what is drawn at random is known by its place."""
        rows = self._rows(list(labels))
        drawn = np.isin(self.copies[rows], self.copies[self._order[: self._n_drawn]])
        first = np.zeros(len(rows), bool)
        first[np.unique(self.copies[rows], return_index=True)[1]] = True
        y = codes_of(list(labels.values()), sorted(set(labels.values())))
        return Evidence(self._space, rows, y, drawn & first, self.copies[rows], self.seed)

    def export(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> int:
        """Write the labels for another command or tool; how many there are.

        Parameters
        ----------
        path : path
            ``.csv``, ``.jsonl`` or ``.parquet`` for a manifest that `featx.fit` takes, with a
            column ``chosen``; ``.json`` for Label Studio; ``.xml`` for CVAT.
        overwrite : bool, default False
            Replace an export that is there.
        """
        return export_labels(
            path, self.log, dict(zip(self.ids, self.paths, strict=True)), overwrite=overwrite
        )

    def import_labels(self, source: str | os.PathLike[str]) -> ReadLabels:
        """Take over labels from a file; see `featx.labelling.exchange.read_labels`.

        All of them are one step, which `undo` takes back. They train the head; they count for the
        estimate only where the random order comes to their images.
        """
        found = read_labels(source, self.ids, self.paths)
        events = [LabelEvent(i, "label", name, "imported") for i, name in found.labels.items()]
        events += [LabelEvent(i, "exclude", None, "imported") for i in sorted(found.excluded)]
        events += [LabelEvent(i, "unsure", None, "imported") for i in sorted(found.unsure)]
        with self._guard:
            if events:
                self._steps.append(self.log.append(events))
        return found

    def _decide(self, ids: Sequence[str], action: Action, label: str | None = None) -> None:
        with self._guard:
            self._rows(ids)
            events = []
            for id in dict.fromkeys(ids):
                chosen, batch = self._shown.get(id, ("manual", 0))
                events.append(LabelEvent(id, action, label, chosen, batch))
            if events:
                self._steps.append(self.log.append(events))

    def _rows(self, ids: Sequence[str]) -> IntArray:
        missing = [id for id in ids if id not in self._at]
        if missing:
            raise UsageError(
                f"'{printable(missing[0])}' is no image of '{printable(self.folder)}'.",
                hint="Ids are paths relative to the folder.",
            )
        return np.array([self._at[id] for id in ids], np.int64)

    def _free(self) -> BoolArray:
        """Images without a decision, one of exact copies, none of which has a decision."""
        decided = [self._at[id] for id in self.log.decisions() if id in self._at]
        free = np.zeros(len(self.ids), bool)
        free[self._order] = True
        return free & ~np.isin(self.copies, self.copies[decided])

    def _suggest(
        self, rows: IntArray, reasons: Sequence[Chosen], batch: int
    ) -> list[LabelSuggestion]:
        found, known = [], self._known.proba
        for row, reason in zip(rows.tolist(), reasons, strict=True):
            p = [] if known is None else known[row].tolist()
            proba = dict(zip(self._classes, p, strict=True)) if p else {}
            best = max(proba, key=proba.__getitem__) if proba else None
            self._shown[self.ids[row]] = (reason, batch)
            found.append(LabelSuggestion(self.ids[row], self.paths[row], reason, best, proba))
        return found

    def _refit(self) -> None:
        """Fit the head on the labels there are now and score all images."""
        labels = {id: label for id, label in self.log.labels().items() if id in self._at}
        if labels == self._fitted:
            return
        self._fitted = labels
        self._classes = [c for c in self.classes() if c in set(labels.values())]
        rows = self._rows(list(labels))
        y = codes_of(list(labels.values()), self._classes)
        counts, proba = np.bincount(y, minlength=len(self._classes)), None
        if len(self._classes) > 1:
            Z = self._space.Z[rows]
            head = QuickHead.fit(Z, y, len(self._classes), self._space.variance)
            proba = head.predict_proba(self._space.Z)
        self._known = Known(self._space.Z, proba, counts, rows)

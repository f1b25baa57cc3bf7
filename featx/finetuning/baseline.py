"""The run that a fine-tune starts from: its images, folds, test split, seed and backbone."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.config import BACKBONE_FIELDS, ExtractConfig, RunConfig, load_config
from featx.console import counted
from featx.data.splits import Folds
from featx.errors import UsageError
from featx.files import printable
from featx.fitting.data import Part
from featx.fitting.estimate import EvaluationSet
from featx.fitting.layers import chosen_layers
from featx.parsing import parse_json
from featx.replacing import recover
from featx.types import AUTO_LAYER

__all__ = ["Baseline", "Settled", "check_names", "check_same_images", "settle"]

_ONCE = {"test", "holdout"}  # estimates that judge one model
_DEFAULTS = {"seed": 0, "folds": 5, "scoring": "balanced_accuracy"}


@dataclass(frozen=True)
class Baseline:
    """A finished run of ``featx fit``.

    Parameters
    ----------
    folder : Path
    config : RunConfig
    results : dict
        Its ``results.json``.
    folds : dict of dict
        Split -> id -> fold, -1 where there is none, of its ``predictions.csv``.
    """

    folder: Path
    config: RunConfig
    results: dict[str, Any]
    folds: Mapping[str, Mapping[str, int]]

    @classmethod
    def read(cls, path: str) -> Baseline:
        """Read a run's folder.

        Raises
        ------
        UsageError
            There is no run there.
        """
        folder = Path(path)
        recover(folder)  # a command that was replacing it may have been killed
        folds: dict[str, dict[str, int]] = {}
        try:
            results = parse_json((folder / "results.json").read_text("utf-8"))
            with (folder / "predictions.csv").open(
                encoding="utf-8", errors="surrogateescape", newline=""
            ) as file:
                for row in csv.DictReader(file):
                    split = folds.setdefault(row["split"], {})
                    split[row["id"].removeprefix("'")] = int(row["fold"]) if row["fold"] else -1
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(
                f"--from {printable(path)} is not a run: {error}.",
                hint="A run is a folder written by: featx fit DATASET --name NAME",
            ) from None
        return cls(folder, load_config(str(folder / "config.yaml")), results, folds)

    @property
    def method(self) -> str:
        """``test``, ``holdout`` or ``cv``: what can be judged on the same images."""
        method = str(self.results["estimate"]["method"])
        return method if method in _ONCE else "cv"


@dataclass(frozen=True)
class Settled:
    """What is asked for with nothing left open.

    Parameters
    ----------
    config : RunConfig
    baseline : Baseline or None
    method : {"auto", "test", "holdout", "cv"}
    holdout : float
        Share held out, for ``holdout``.
    """

    config: RunConfig
    baseline: Baseline | None
    method: str
    holdout: float


def settle(config: RunConfig) -> Settled:
    """Fill in what the configuration leaves to the run it starts from, or to defaults.

    Raises
    ------
    UsageError
        There is no such run, it has several backbones and none is named, or something else is
        asked for than it did.
    """
    asked = config.finetune
    assert asked is not None
    known: dict[str, Any] = dict(_DEFAULTS)
    baseline, method, extract = None, str(asked.estimate), config.extract
    if asked.from_run is not None:
        baseline = Baseline.read(asked.from_run)
        fit = baseline.config.fit
        known = {"seed": fit.seed, "folds": fit.cv, "scoring": fit.scoring}
        if baseline.config.finetune is not None:
            known = {k: getattr(baseline.config.finetune, k) for k in known}
        for key in ("seed", "folds"):
            given = getattr(asked, key)
            if given not in (None, known[key]):
                raise _other(asked.from_run, key, given, known[key])
        if method not in {"auto", baseline.method}:
            raise _other(asked.from_run, "estimate", method, baseline.method)
        method = baseline.method
        extract = _same_backbone(extract, baseline)
    if len(extract.requests()) != 1:
        raise UsageError(
            f"One backbone can be fine-tuned at a time; {len(extract.requests())} are named.",
            hint="Name one with --backbone.",
        )
    if AUTO_LAYER in extract.layer:
        raise UsageError(
            "Fine-tuning takes one embedding, and --layer auto has a search choose among several.",
            hint="Fit with --layer auto first and give that run with --from, or name a layer.",
        )
    filled = {k: v for k, v in known.items() if getattr(asked, k) is None}
    config = config.model_copy(
        update={"finetune": asked.model_copy(update=filled), "extract": extract}
    )
    holdout = 0.0 if baseline is None else baseline.config.fit.holdout
    return Settled(config, baseline, method, holdout)


def _other(run: str, key: str, given: object, known: object) -> UsageError:
    return UsageError(
        f"--{key} {given} is not what the run {printable(run)} has: {known}.",
        hint=f"Leave --{key} out to be judged on the same images, or leave out --from.",
    )


def _same_backbone(extract: ExtractConfig, baseline: Baseline) -> ExtractConfig:
    """The backbone that is named or, where none is, the one that the run chose."""
    if extract.backbone:
        return extract
    theirs = baseline.config.extract
    values = {k: getattr(theirs, k) for k in (*BACKBONE_FIELDS, "weights")}
    chosen = baseline.results["chosen"].get("backbone")
    if not theirs.backbone:  # a run of a featx with another default
        values["backbone"] = [str(chosen).partition("/")[0]]
    if len(theirs.backbone) > 1:
        if chosen not in theirs.backbone:
            raise UsageError(
                f"The run {printable(str(baseline.folder))} rests on {printable(str(chosen))}.",
                hint="Name the one to fine-tune with --backbone.",
            )
        values["backbone"] = [chosen]
    if AUTO_LAYER in theirs.layer:
        layers = chosen_layers(values["backbone"][0], str(chosen))
        values |= {"layer": layers, "pooling": []}
    values |= {"views": 0}
    return extract.model_copy(update=values)


def check_names(baseline: Baseline, ids: Sequence[str]) -> None:
    """Refuse a data set that lacks an image of the run, before any is read.

    Raises
    ------
    UsageError
        Names the first.
    """
    theirs = {name for images in baseline.folds.values() for name in images}
    gone = sorted(theirs - set(ids))
    if gone:
        raise _others(baseline, len(gone), gone[0], "the run", "its images")


def _others(baseline: Baseline, n: int, name: str, where: str, among: str) -> UsageError:
    return UsageError(
        f"The run {printable(str(baseline.folder))} was made on other images: "
        f"{counted(n, 'image', 'differs/differ')}, for instance {printable(name)}, which only "
        f"{where} has among {among}.",
        hint="Give the data set that the run was fitted on, or leave out --from. If this is that "
        "data set, fit it again: earlier versions of featx trained on copies of test images whose "
        "files differ.",
    )


def check_same_images(
    baseline: Baseline, digest: str, part: Part, folds: Folds, tested: EvaluationSet | None
) -> None:
    """Refuse a run whose images or folds are others.

    Parameters
    ----------
    baseline : Baseline
    digest : str
        `featx.fitting.gathering.content_digest` of the images here.
    part : Part
    folds : Folds
    tested : EvaluationSet or None

    Raises
    ------
    UsageError
        Names the first image that differs, where names or folds do.
    """
    mine = {"oof": dict(zip(part.ids, folds.fold.tolist(), strict=True))}
    if tested is not None:
        mine[tested.method] = dict.fromkeys(tested.part.ids, -1)
    name = printable(str(baseline.folder))
    for split, images in mine.items():
        theirs = baseline.folds.get(split)
        if theirs is None and split == "oof":  # a run that judged one model has no folds
            continue
        theirs = theirs or {}
        only = sorted(images.keys() ^ theirs.keys())
        if only:
            where = "the run" if only[0] in theirs else "this data set"
            raise _others(baseline, len(only), only[0], where, f"those of {split!r}")
        moved = [i for i in images if images[i] != theirs[i]]
        if moved:
            raise UsageError(
                f"The run {name} has other folds: {printable(moved[0])} lies in fold "
                f"{theirs[moved[0]]} there and in fold {images[moved[0]]} here.",
                hint="Labels, groups or image contents have changed; fit the run again.",
            )
    if baseline.results["dataset"].get("sha256", digest) != digest:
        raise UsageError(
            f"The run {name} was made on other images: names are equal, contents or labels are "
            "not.",
            hint="Fit the run again, or leave out --from.",
        )

"""The run that a fine-tune starts from: its images, folds, test split, seed and backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from featx.config import BACKBONE_FIELDS, ExtractConfig, RunConfig
from featx.console import counted
from featx.data.splits import Folds
from featx.errors import RunError, UsageError
from featx.files import printable
from featx.fitting.data import Part
from featx.fitting.held import EvaluationSet
from featx.fitting.layers import chosen_embedding
from featx.runs import Run, load_run
from featx.types import AUTO_LAYER, AUTO_RESIZE

_ONCE = {"test", "holdout"}  # estimates that judge one model
_DEFAULTS = {"seed": 0, "folds": 5, "scoring": "balanced_accuracy"}


def _read(path: str) -> Run:
    """The run, with all that is needed of it.

    Raises
    ------
    UsageError
        There is no run there, or it is damaged.
    """
    try:
        run = load_run(path)
        run.predictions  # noqa: B018 - read now, before anything is spent
    except RunError as error:
        raise UsageError(
            f"--from {printable(path)} is not a run that can be read: {error.message}",
            hint="A run is a folder written by: featx fit DATASET --name NAME",
        ) from None
    return run


def _method(run: Run) -> str:
    """``test``, ``holdout`` or ``cv``: what can be evaluated on the same images."""
    method = run.results.estimate.method
    return method if method in _ONCE else "cv"


def _folds(run: Run) -> dict[str, dict[str, int]]:
    """Split -> id -> fold, -1 where there is none."""
    return {
        split: dict(zip(part.ids.tolist(), part.fold.tolist(), strict=True))
        for split, part in run.predictions.items()
    }


@dataclass(frozen=True)
class ResolvedFinetune:
    """What is asked for with nothing left open.

    Parameters
    ----------
    config : RunConfig
    baseline : Run or None
        The finished run of ``featx fit``.
    method : {"auto", "test", "holdout", "cv"}
    holdout : float
        Share held out, for ``holdout``.
    """

    config: RunConfig
    baseline: Run | None
    method: str
    holdout: float


def resolve_finetune(config: RunConfig) -> ResolvedFinetune:
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
        baseline = _read(asked.from_run)
        fit = baseline.config.fit
        if fit.tabular:
            raise UsageError(
                f"The run {printable(asked.from_run)} was fitted on other columns too "
                f"({printable(', '.join(fit.tabular_kinds))}), and fine-tuning trains on images "
                "alone.",
                hint="Fit it again without --tabular, and give that run.",
            )
        known = {"seed": fit.seed, "folds": fit.cv, "scoring": fit.scoring}
        if baseline.config.finetune is not None:
            known = {k: getattr(baseline.config.finetune, k) for k in known}
        for key in ("seed", "folds"):
            given = getattr(asked, key)
            if given not in (None, known[key]):
                raise _other(asked.from_run, key, given, known[key])
        theirs = _method(baseline)
        if method not in {"auto", theirs}:
            raise _other(asked.from_run, "estimate", method, theirs)
        method = theirs
        extract = _same_backbone(extract, baseline)
    if AUTO_LAYER in extract.layer or extract.both_ways:
        flag = f"--layer {AUTO_LAYER}" if AUTO_LAYER in extract.layer else f"--resize {AUTO_RESIZE}"
        raise UsageError(
            f"Fine-tuning takes one embedding, and {flag} has a search choose among several.",
            hint=f"Fit with {flag} first and give that run with --from, or choose one yourself.",
        )
    if len(extract.requests()) != 1:
        raise UsageError(
            f"One backbone can be fine-tuned at a time; {len(extract.requests())} are named.",
            hint="Name one with --backbone.",
        )
    filled = {k: v for k, v in known.items() if getattr(asked, k) is None}
    config = config.model_copy(
        update={"finetune": asked.model_copy(update=filled), "extract": extract}
    )
    holdout = 0.0 if baseline is None else baseline.config.fit.holdout
    return ResolvedFinetune(config, baseline, method, holdout)


def _other(run: str, key: str, given: object, known: object) -> UsageError:
    return UsageError(
        f"--{key} {given} is not what the run {printable(run)} has: {known}.",
        hint=f"Leave --{key} out to be evaluated on the same images, or leave out --from.",
    )


def _same_backbone(extract: ExtractConfig, baseline: Run) -> ExtractConfig:
    """The backbone that is named or, where none is, the one that the run chose."""
    if extract.backbone:
        return extract
    theirs = baseline.config.extract
    values = {k: getattr(theirs, k) for k in (*BACKBONE_FIELDS, "weights")}
    chosen = baseline.results.chosen.backbone
    if not theirs.backbone:  # a run of a featx with another default
        values["backbone"] = [chosen.partition("/")[0]]
    if (race := baseline.results.race) is not None:
        values |= race.winner.settings()
    theirs = theirs.model_copy(update=values)
    found = chosen_embedding(chosen, theirs)
    if found is None and (len(theirs.backbone) > 1 or theirs.both_ways):
        raise UsageError(
            f"The run {printable(str(baseline.folder))} uses {printable(chosen)}.",
            hint="Name the one to fine-tune with --backbone.",
        )
    return extract.model_copy(update={**values, **(found or {}), "views": 0})


def check_names(baseline: Run, ids: Sequence[str]) -> None:
    """Refuse a data set that lacks an image of the run, before any is read.

    Raises
    ------
    UsageError
        Names the first.
    """
    theirs = {name for part in baseline.predictions.values() for name in part.ids}
    gone = sorted(theirs - set(ids))
    if gone:
        raise _others(baseline, len(gone), gone[0], "the run", "its images")


def _others(baseline: Run, n: int, name: str, where: str, among: str) -> UsageError:
    return UsageError(
        f"The run {printable(str(baseline.folder))} was made on other images: "
        f"{counted(n, 'image', 'differs/differ')}, for instance {printable(name)}, which only "
        f"{where} has among {among}.",
        hint="Give the data set that the run was fitted on, or leave out --from. If this is that "
        "data set, fit it again: earlier versions of featx trained on copies of test images whose "
        "files differ.",
    )


def check_same_images(
    baseline: Run, digest: str, part: Part, folds: Folds, tested: EvaluationSet | None
) -> None:
    """Refuse a run whose images or folds are others.

    Parameters
    ----------
    baseline : Run
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
    known = _folds(baseline)
    for split, images in mine.items():
        theirs = known.get(split)
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
    if baseline.results.dataset.sha256 not in (None, digest):
        raise UsageError(
            f"The run {name} was made on other images: names are equal, contents or labels are "
            "not.",
            hint="Fit the run again, or leave out --from.",
        )

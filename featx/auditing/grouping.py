"""Groups that nobody wrote down: proposed, tested on the embeddings, and chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from featx import console
from featx.auditing.data import AuditData
from featx.auditing.duplicates import STRICT, AlikeSets, CopySet, copy_components
from featx.auditing.grouping_effect import with_and_without
from featx.auditing.neighbours import standardise
from featx.auditing.proposals import FoundGroups, Proposal
from featx.auditing.registration import low_frequencies
from featx.auditing.sequences import sequence_codes
from featx.data.manifest import Manifest
from featx.data.name_groups import (
    MOST_FIELDS,
    OWNERS,
    Suggestion,
    gap_suggestions,
    moments_in_names,
    name_suggestions,
    number_groups,
    trouble_of,
)
from featx.data.name_parts import folders_of
from featx.data.splits import link_components
from featx.extraction import Extraction
from featx.files import printable
from featx.stats.closeness import across_contexts, closeness, closeness_beyond
from featx.types import Float32Array, IntArray

PERMUTATIONS = 99
LEVEL = 0.01  # the smallest p that so many permutations can give
CLOSER = 0.05  # of the distance of other images of the class: less is no group worth keeping
MEASURED = 0.02  # share of the images in groups from which their effect is measured
#: A larger group is taken if its further pairs are at least so much closer as those of the smaller.
FURTHER = 0.5
FURTHER_NAMED = 0.25  # where the names call it a patient or the like
HARDLY = "its images are hardly more alike than others of their class"
_COLUMNS = 64
_WHOLE = {"pat": "patient", "pt": "patient", "subj": "subject", "sub": "subject", "vid": "video"}
_WHOLE |= {"cam": "camera", "seq": "sequence", "ses": "session", "loc": "location"}
#: What somebody wrote down comes before what only follows closely.
_FAMILIES = (("names", "folders"), ("moments",), ("sequences",))


def grouping_notes(manifest: Manifest, extraction: Extraction, *, seed: int) -> list[str]:
    """One sentence where names suggest groups that the embeddings confirm; else none.

    Rows of numbers have no files, and groups that are known are obeyed.
    """
    if manifest.grouped or not extraction.ok.any() or not manifest.rows[0].path:
        return []
    rows = [row for row, ok in zip(manifest.rows, extraction.ok, strict=True) if ok]
    ids, labels = [row.id for row in rows], [row.label for row in rows]
    found = named_groups(ids, labels, extraction.X, seed=seed)
    if found is None or found.sure != "strong":
        return []
    of = found.suggestion
    word = of.word if of.word in OWNERS else None
    what = console.counted(of.n_groups, _WHOLE.get(word, word) if word else "group")
    kind = "folders" if of.family == "folders" else "file names"
    return [
        printable(
            f"The {kind} look like {what} ({of.wording}): the estimate may be too high for new "
            "ones; see featx audit."
        )
    ]


def named_groups(
    ids: Sequence[str], labels: Sequence[str | None], X: Float32Array, *, seed: int
) -> Proposal | None:
    """The best proposal of names and folders alone, tested on embeddings; None where none holds."""
    y = _classes(labels)
    Z = _few_columns(standardise(X), seed)
    tested = [_measured(each, Z, y) for each in name_suggestions(ids, labels)]
    return _by_place(_chosen(tested, Z, y, seed), ids, Z, y)


@console.stage("Looking for groups")
def find_groups(data: AuditData, Z: Float32Array, sets: AlikeSets, *, seed: int) -> FoundGroups:
    """Propose groups, test each on the embeddings, and choose.

    Parameters
    ----------
    data : AuditData
    Z : ndarray of shape (n, n_features), float32
        From `featx.auditing.neighbours.standardise`.
    sets : AlikeSets
        From `featx.auditing.duplicates.find_copies`.
    seed : int
    """
    copies = copy_components(len(data), sets.copies)
    y = _classes(data.labels)
    small = _few_columns(Z, seed)
    suggested = [*_suggestions(data), *_sequences(data, Z, y, seed)]
    tested = [_measured(each, small, y) for each in suggested]
    known = data.group_codes if any(data.groups) else None
    if known is not None:
        tested = [_beyond_known(each, known) for each in tested]
    best = _chosen(tested, small, y, seed)
    chosen = _by_place(best, data.ids, small, y)
    near = _kept_together(sets, None if chosen is None else chosen.suggestion.codes)
    pictures = _of_pictures(near, len(data))
    codes = copy_components(len(data), near)
    if chosen is not None:
        codes = link_components(chosen.suggestion.codes, codes)
    first = [each for each in (chosen, pictures) if each is not None]
    others = [e for e in tested if best is None or e.suggestion is not best.suggestion]
    others.sort(key=lambda each: (each.trouble is not None, -_gap(each)))
    effects = {
        id(each): with_and_without(
            data, data.copies if each is pictures else copies, each.suggestion.codes, seed
        )
        if each.suggestion.sizes.sum() >= MEASURED * len(data)
        else None  # other folds make more of a difference than these groups do
        for each in first
    }
    proposals = [Proposal(p.suggestion, p.close, p.trouble, effects[id(p)]) for p in first]
    taken = dict(zip(map(id, first), proposals, strict=True))
    return FoundGroups(
        [*proposals, *others],
        None if chosen is None else taken[id(chosen)],
        None if pictures is None else taken[id(pictures)],
        codes,
    )


def _classes(labels: Sequence[str | None]) -> IntArray:
    """Numbers of the classes; images without a label are one more."""
    return number_groups([f"={label}" if label is not None else "" for label in labels])


def _kept_together(sets: AlikeSets, codes: IntArray | None) -> list[CopySet]:
    """The copies, those across groups only where there is no doubt.

    Two pictures of different patients are taken for one picture by chance more often than somebody
    cuts one and gives it to another patient: such pairs must be as alike as those of one series.
    """
    return [
        each
        for each in sets.copies
        if codes is None or each.difference <= STRICT or len(set(codes[list(each.rows)])) == 1
    ]


def _gap(each: Proposal) -> float:
    return 0.0 if each.close is None else each.close.gap


def _suggestions(data: AuditData) -> list[Suggestion]:
    """Of names, folders and moments."""
    ids, labels = data.ids, data.labels
    cameras = [
        " ".join(look.words.get("metadata", {}).get(k, "") for k in ("make", "camera"))
        for look in data.looks
    ]
    return [
        *name_suggestions(ids, labels),
        *gap_suggestions([look.taken for look in data.looks], cameras, labels,
                         wording="when they were taken (EXIF), at most {gap} s after one another"),
        *gap_suggestions(moments_in_names(ids), [""] * len(ids), labels,
                         wording="the moments in their names, at most {gap} s after one another"),
    ]  # fmt: skip


def _sequences(data: AuditData, Z: Float32Array, y: IntArray, seed: int) -> Iterator[Suggestion]:
    """Runs of files that follow each other by name and are nearly the same picture."""
    low = low_frequencies(np.stack([look.grey for look in data.looks])).reshape(len(data), -1)
    codes = sequence_codes(data.ids, y, Z, low, seed=seed)
    if codes is not None:
        wording = "runs of files that follow each other by name and are nearly the same picture"
        trouble = trouble_of(codes, data.labels, joined=0.0)
        yield Suggestion("sequences", wording, codes, "sequences", None, trouble)


def _few_columns(Z: Float32Array, seed: int) -> Float32Array:
    """Random projections of rows, again of length 1: cosines stay nearly the same."""
    if Z.shape[1] <= _COLUMNS:
        return Z
    rng = np.random.default_rng(seed)
    P = Z @ rng.standard_normal((Z.shape[1], _COLUMNS)).astype(np.float32)
    return np.asarray(P / np.maximum(np.linalg.norm(P, axis=1, keepdims=True), 1e-12))


def _measured(of: Suggestion, Z: Float32Array, y: IntArray) -> Proposal:
    """A suggestion with how close its images are."""
    if of.trouble is not None:
        return Proposal(of, None, of.trouble)
    close = closeness(Z, y, of.codes, permutations=0, seed=0)
    if close is None:
        return Proposal(of, None, "no group has two images of a class that others have too")
    needed = 0.0 if of.explicit else CLOSER
    return Proposal(of, close, None if close.gap >= needed else HARDLY)


def _beyond_known(each: Proposal, known: IntArray) -> Proposal:
    """Not proposed where the groups of the data set keep the same images together."""
    if each.trouble is None and _within(each.suggestion.codes, known):
        return Proposal(each.suggestion, each.close, "the groups of the data set do it already")
    return each


def _within(fine: IntArray, coarse: IntArray) -> bool:
    """Whether each fine group lies in one coarse group, but for one image in a hundred."""
    pairs, counts = np.unique(np.stack([fine, coarse]), axis=1, return_counts=True)
    largest = np.zeros(fine.max() + 1)
    np.maximum.at(largest, pairs[0], counts)
    return bool(largest.sum() >= 0.99 * len(fine))


def _chosen(
    measured: Sequence[Proposal], Z: Float32Array, y: IntArray, seed: int
) -> Proposal | None:
    """The best that chance does not explain, of the first family that has one.

    One suggestion is tested, not all: it was chosen by size, nesting and closeness, and a chance
    grouping of many images has no closeness to speak of.
    """
    for families in _FAMILIES:
        sound = [p for p in measured if p.trouble is None and p.suggestion.family in families]
        while sound:
            best = _climbed(sound, Z, y)
            codes = best.suggestion.codes
            close = closeness(Z, y, codes, permutations=PERMUTATIONS, seed=seed)
            if close is not None and close.p <= LEVEL:
                return Proposal(best.suggestion, close, None)
            sound.remove(best)
    return None


def _by_place(
    best: Proposal | None, ids: Sequence[str], Z: Float32Array, y: IntArray
) -> Proposal | None:
    """Groups that are numbered anew in each folder or class, explicit apart by it."""
    if best is None or best.suggestion.family not in ("names", "folders"):
        return best
    of, folders = best.suggestion, [folders_of(id) for id in ids]
    depth = min(max(map(len, folders)), MOST_FIELDS)
    above = [number_groups(["/".join(each[:i]) for each in folders]) for i in range(1, depth + 1)]
    for place, contexts in (*(("folder", each) for each in above), ("class", y)):
        ratio = across_contexts(Z, y, of.codes, contexts)
        if ratio is not None and ratio < FURTHER_NAMED:
            codes = number_groups([f"{a} {b}" for a, b in zip(of.codes, contexts, strict=True)])
            wording = f"{of.wording}, numbered anew in each {place}"
            of = replace(of, rule=f"{of.rule} by {place}", wording=wording, codes=codes,
                         group_from=None)  # fmt: skip
    return replace(best, suggestion=of)


def _climbed(sound: Sequence[Proposal], Z: Float32Array, y: IntArray) -> Proposal:
    """The largest groups that hold: half as close as the closest, and so are their further pairs.

    A larger group whose smaller parts are suggested too must not live on these alone: pairs that
    share the larger one only (two slides of one patient) count.
    """

    def weight(each: Proposal) -> float:
        return 0.0 if each.close is None else each.close.gap * each.close.images

    most = max(weight(each) for each in sound)
    holding = [
        each
        for each in sound
        if weight(each) >= _needed(each) * most and _holds_beyond(each, sound, Z, y)
    ]
    named = [each for each in holding if each.suggestion.word in OWNERS]
    if not holding:
        return max(sound, key=weight)
    return min(named or holding, key=lambda each: each.suggestion.n_groups)


def _needed(each: Proposal) -> float:
    return FURTHER_NAMED if each.suggestion.word in OWNERS else FURTHER


def _holds_beyond(each: Proposal, sound: Sequence[Proposal], Z: Float32Array, y: IntArray) -> bool:
    """Whether pairs that share this group, but no smaller one within it, are closer as well."""
    coarse = each.suggestion.codes
    for finer in sound:
        fine = finer.suggestion.codes
        if fine.max() <= coarse.max() or not _within(fine, coarse):
            continue
        further = closeness_beyond(Z, y, coarse, fine)
        if further is None and _adds_other_classes_only(each, fine, y):
            continue
        if further is None or further < _needed(each) * _gap(finer):
            return False
    return True


def _adds_other_classes_only(each: Proposal, fine: IntArray, y: IntArray) -> bool:
    """Whether names put images of several classes together, and no others than the finer group."""
    if each.suggestion.family not in ("names", "folders"):
        return False
    counts = [
        np.unique(np.stack([codes, y]), axis=1).shape[1] for codes in (each.suggestion.codes, fine)
    ]
    return counts[0] == counts[1]


def _of_pictures(copies: Sequence[CopySet], n: int) -> Proposal | None:
    """One picture resized, cut, turned, mirrored or exposed anew."""
    near = [each for each in copies if not each.exact]
    if not near:
        return None
    codes = link_components(copy_components(n, near))
    wording = "pictures that are one another resized, cut, turned, mirrored or exposed anew"
    explicit = all(each.difference <= STRICT for each in near)
    return Proposal(
        Suggestion("pictures", wording, codes, "pictures", explicit=explicit), None, None
    )

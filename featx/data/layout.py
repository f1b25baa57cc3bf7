"""What the folders of a data set mean: which are classes, which are splits, which are wrapping."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from featx.console import first_few
from featx.data.manifest import SPLITS, Split
from featx.errors import DatasetError
from featx.files import printable

Parts = tuple[str, ...]
MOST_WRAPPERS = 8

#: ``training_set``, ``val-images``, ``01_Train``, ``test2017``: as people name splits, without what
#: separates the words.
_SPLIT_LIKE = re.compile(
    r"\d{0,4}(?:my|the|images?|imgs?|pictures?|photos?|data)?"
    r"(train|training|trainval|trn|val|valid|validation|validate|dev|development"
    r"|test|testing|tst|holdout|heldout)"
    r"(?:set|split|images?|imgs?|pictures?|photos?|data|dataset|samples?|folder|examples?)*\d{0,4}"
)
_MORE_SPLITS: dict[str, Split] = {
    "trainval": "train", "trn": "train", "validate": "val", "development": "val", "tst": "test",
    "heldout": "test",
}  # fmt: skip
#: Names that some use for validation and others for test: choosing wrongly would bias a result.
_UNCLEAR = re.compile(r"(?:images?|data)?(?:eval|evaluation)(?:set|split|images?|data|dataset)?")
_ADVICE = (
    "Keep only train, val and test folders at the top, with class folders in them, or list the "
    "images in a manifest file with columns path, label and split."
)


@lru_cache(maxsize=4096)
def split_of(name: str) -> Split | None:
    """The split that a folder is named after, more or less; None where it is none."""
    if (split := SPLITS.get(name.lower())) is not None:
        return split
    found = _SPLIT_LIKE.fullmatch(_squeezed(name))
    return None if found is None else SPLITS.get(found[1]) or _MORE_SPLITS[found[1]]


def _squeezed(name: str) -> str:
    """The name in lower case, without what separates its words."""
    return re.sub(r"[\s_.\-]+", "", name.lower())


@dataclass(frozen=True)
class FolderLayout:
    """Which of the folders above an image is what.

    Parameters
    ----------
    class_at : int
        Place of the class in an id's folders.
    split_at : int, optional
        Place of the split; None where there are no splits.
    remarks : list of str
        Sentences on what was understood though it is unusual.
    """

    class_at: int = 0
    split_at: int | None = None
    remarks: list[str] = field(default_factory=list)

    def meaning(self, folders: Parts) -> tuple[str | None, Split | None]:
        """Label and split of an image in these folders."""
        label = folders[self.class_at] if len(folders) > self.class_at else None
        if self.split_at is None or len(folders) <= self.split_at:
            return (label, None) if self.split_at is None else (None, None)
        return label, split_of(folders[self.split_at])

    def home(self, folders: Parts) -> str | None:
        """The folder of the class (and split) that these folders are in or are."""
        depth = max(self.class_at, -1 if self.split_at is None else self.split_at) + 1
        return "/".join(folders[:depth]) if len(folders) >= depth else None


def read_layout(folders: Iterable[Parts]) -> FolderLayout:
    """Find out what folders mean.

    * ``<class>/**/file``: the first folder is the class, however deep the file lies.
    * ``<split>/<class>/**/file`` where *every* top folder is named like a split
      (see `split_of`), also twice (``training_set/training_set/<class>``) or below folders that
      only wrap them (``dataset/train/<class>``).
    * ``<class>/<split>/**/file`` where every class is divided so.
    * An image outside any class folder has no label; one outside any split folder no split.

    Beside folders of other names, a folder named like a split is a class if its images lie
    directly in it (``valid`` beside ``invalid``).

    Parameters
    ----------
    folders : iterable of tuple of str
        The folders above each image.

    Raises
    ------
    DatasetError
        Folders named like splits stand where the layout has two readings.
    """
    found = sorted(set(folders))
    wrappers = _wrappers(found)
    inner = [parts[wrappers:] for parts in found]
    tops = {parts[0] for parts in inner if parts}
    if tops and _are_splits(tops, inner):
        layout = _below_splits(inner, tops, wrappers)
    else:
        layout = _splits_below(found) or _plain(found)
    _refuse_hidden_splits(found, layout)
    if wrappers and layout.split_at is not None:
        around = printable("/".join(next(p for p in found if len(p) > wrappers)[:wrappers]))
        layout.remarks.append(f"The folder '{around}' around the splits is read as no class.")
    return layout


def _wrappers(found: Sequence[Parts]) -> int:
    """How many single folders lie around the splits; 0 where there are no splits below them."""
    for depth in range(MOST_WRAPPERS):
        inner = [parts[depth:] for parts in found]
        tops = {parts[0] for parts in inner if parts}
        if tops and _are_splits(tops, inner):
            classes = any(len(parts) > 1 for parts in inner)
            return depth if classes or not depth else 0
        if len(tops) != 1:
            return 0
    return 0


def _are_splits(tops: set[str], found: Sequence[Parts]) -> bool:
    """Whether all top folders are splits.

    Names that only resemble a split's need more evidence: two splits beside each other, or classes
    in the one.
    """
    if all(top.lower() in SPLITS for top in tops):
        return True
    splits = {split_of(top) for top in tops}
    if None in splits or not ("train" in splits or any(top.lower() in SPLITS for top in tops)):
        return False
    return len(splits) > 1 or any(len(parts) > 1 for parts in found)


def _below_splits(found: Sequence[Parts], tops: set[str], wrappers: int) -> FolderLayout:
    remarks = []
    odd = sorted(top for top in tops if top.lower() not in SPLITS)
    if odd:
        meant = ", ".join(f"'{printable(top)}' as {split_of(top)}" for top in odd)
        remarks.append(f"Folders are read as splits by their names: {meant}.")
    # Each split may hold nothing but a folder named like it, with the classes in it.
    twice = all(
        len(parts) > 2 and split_of(parts[1]) == split_of(parts[0]) for parts in found if parts
    )
    return FolderLayout(wrappers + 1 + twice, wrappers, remarks)


def _splits_below(found: Sequence[Parts]) -> FolderLayout | None:
    """``<class>/<split>/**``: every class is divided into splits, and nothing lies beside them."""
    classes = [parts for parts in found if parts]
    splits = {split_of(parts[1]) for parts in classes if len(parts) > 1}
    if not classes or any(len(parts) < 2 for parts in classes) or None in splits:
        return None
    if "train" not in splits or len(splits) < 2:
        return None
    names = sorted({parts[1] for parts in classes})
    return FolderLayout(
        0, 1, [f"The folders {listed(names)} in each class are read as its splits."]
    )


def _plain(found: Sequence[Parts]) -> FolderLayout:
    """The folders at the top are classes."""
    _refuse_mixture(found)
    return FolderLayout(remarks=_crossed(found))


def _refuse_mixture(found: Sequence[Parts]) -> None:
    """Folders named like splits, with folders of their own, beside others at the top."""
    tops = {parts[0] for parts in found if parts}
    nested = {
        parts[0]
        for parts in found
        if len(parts) > 1 and (parts[0].lower() in SPLITS or split_of(parts[0]) == "train")
    }
    if _are_mixed(tops):  # flat ones too: no two classes are named so
        nested = {top for top in tops if split_of(top) is not None}
    if not nested:
        return
    others = sorted(top for top in tops if split_of(top) is None)
    if unclear := [top for top in others if _is_unclear(top)]:
        raise DatasetError(
            f"Folder '{printable(unclear[0])}' beside {listed(nested)} may mean validation or "
            "test.",
            hint="Rename it to val or to test: val may be used for model selection, test is not.",
        )
    raise DatasetError(
        f"Folders named like splits ({listed(nested)}) are next to others ({listed(others)}): "
        "are these splits or classes?",
        hint=_ADVICE,
    )


def _is_unclear(name: str) -> bool:
    return _UNCLEAR.fullmatch(_squeezed(name)) is not None


def _are_mixed(names: set[str]) -> bool:
    """Whether folders beside each other are named like training images and like others."""
    splits = {"unclear" if _is_unclear(name) else split_of(name) for name in names} - {None}
    return "train" in splits and len(splits) > 1


def _refuse_hidden_splits(found: Sequence[Parts], layout: FolderLayout) -> None:
    """Splits below what was taken for a class: train and test images would be one heap."""
    below: dict[Parts, set[str]] = defaultdict(set)
    start = max(layout.class_at, -1 if layout.split_at is None else layout.split_at) + 1
    for parts in found:
        for at in range(start, len(parts)):
            below[parts[:at]].add(parts[at])
    for folder, children in sorted(below.items()):
        named = {child for child in children if child.lower() in SPLITS}
        shown = printable("/".join(folder))
        mixed = _are_mixed(children) or len({split_of(child) for child in named}) > 1
        if mixed or (named and named == children):
            like = {child for child in children if split_of(child) or _is_unclear(child)}
            raise DatasetError(
                f"Folders named like splits ({listed(like)}) lie in '{shown}', which is read as "
                f"{'part of ' if len(folder) > start else ''}a class: its images would be mixed.",
                hint=_ADVICE,
            )
        if named:
            layout.remarks.append(
                f"The folder {listed(named)} in '{shown}' is named like a split and read as part "
                "of the class."
            )


def _crossed(found: Sequence[Parts]) -> list[str]:
    """Two or more folders that hold the same folders: which of the two levels are the classes?"""
    children: dict[str, set[str]] = defaultdict(set)
    for parts in found:
        if parts:
            children[parts[0]].update(parts[1:2] or ("",))
    sets = list(children.values())
    if len(sets) < 2 or len(sets[0]) < 2 or any(each != sets[0] or "" in each for each in sets):
        return []
    return [
        f"Each of the folders {listed(children)} has the same folders in it "
        f"({listed(sets[0])}): the outer ones are read as classes. If they are splits, name "
        "them train, val and test; if the inner ones are the classes, write a manifest."
    ]


def listed(names: Iterable[str]) -> str:
    """The first five names, and how many there are beyond them."""
    return first_few([printable(name) for name in sorted(names)], 5)

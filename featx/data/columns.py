"""Which column of a manifest file holds what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featx.config import DatasetConfig
from featx.data.imagetypes import is_image_name
from featx.errors import DatasetError, UnknownNameError
from featx.files import printable

#: Meaning -> names that are understood, the first being featx's own. A name is used without
#: being asked for only if it is the only one of its meaning in the file.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "path": (
        "path", "file", "filename", "filepath", "file_name", "file_path",
        "image", "image_path", "img_path", "image_file",
    ),
    "label": ("label", "class", "class_name", "category", "target"),
    "group": ("group", "group_id", "patient", "patient_id", "subject", "subject_id"),
    "split": ("split", "subset", "partition"),
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Names of the columns to read; None where the file has no such column."""

    path: str
    label: str | None
    group: str | None
    split: str | None


def find_columns(columns: Sequence[str], config: DatasetConfig) -> Columns:
    """Choose the columns: those the configuration names, else by `SYNONYMS`, ignoring case.

    Raises
    ------
    UnknownNameError
        A column that the configuration names is not in the file.
    DatasetError
        There is no path column, or several columns could be the one meant.
    """
    path = _choose("path", config.path_column, columns)
    if path is None:
        raise DatasetError(
            f"No column with image paths among: {printable(', '.join(columns)) or 'none'}.",
            hint=_what_it_may_be(columns),
        )
    return Columns(
        path=path,
        label=_choose("label", config.label_column, columns),
        group=_choose("group", config.group_column, columns),
        split=_choose("split", config.split_column, columns),
    )


def _what_it_may_be(columns: Sequence[str]) -> str:
    """What a header without a column of paths most often is."""
    if columns and columns[0].lstrip().startswith("#"):
        return (
            "The first line is a comment: delete it, so that the names of the columns come first."
        )
    if any(is_image_name(column.strip()) or "/" in column for column in columns):
        return "The first line is a row, not the names of the columns: put path,label above it."
    if any(column.strip("' ").lower() in SYNONYMS["path"] for column in columns):
        return "Only \" is a quotation mark in CSV: take the ' away."
    for separator in ";\t|,":
        if any(
            name.strip().lower() in SYNONYMS["path"]
            for column in columns
            for name in column.split(separator)
        ):
            return f"A name holds {separator!r}: separate columns by commas, in .tsv by tabs."
    return "Name it with --path-column."


def _choose(meaning: str, asked: str | None, columns: Sequence[str]) -> str | None:
    """The column of one meaning."""
    if asked is not None:
        if asked not in columns:
            raise UnknownNameError(f"{meaning} column", asked, columns)
        return asked
    # one that differs in case or spaces only would be a slip: which of the two is meant?
    like = [column for column in columns if column.strip().lower() == meaning]
    if like == [meaning]:
        return meaning
    found = [column for column in columns if column.strip().lower() in SYNONYMS[meaning]]
    if len(found) > 1:
        raise DatasetError(
            f"Several columns could be the {meaning}: {', '.join(found)}.",
            hint=f"Name one with --{meaning}-column.",
        )
    return found[0] if found else None

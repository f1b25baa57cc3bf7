"""Columns beside label, group and split that a command asked for: of a manifest, or of EXIF."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

from featx.data.manifest import Manifest, Row
from featx.errors import UnknownNameError, UsageError
from featx.files import printable

__all__ = ["EXIF", "OWN", "keep_columns", "of_table"]

EXIF = "exif:"
EXIF_FOLDER = 0x8769  # where cameras write times and exposures
OWN = ("group", "split")  # what rows have anyway


def of_table(names: Sequence[str]) -> list[str]:
    """The names that only a manifest file can have."""
    return [name for name in names if name not in OWN and not name.startswith(EXIF)]


def keep_columns(manifest: Manifest, names: Sequence[str]) -> Manifest:
    """The same manifest, whose rows have a value of every name in ``extra``, None where empty.

    Parameters
    ----------
    manifest : Manifest
        Whose rows have the columns of its file already (`of_table`).
    names : sequence of str
        ``group``, ``split``, ``exif:FIELD``, or a column.

    Raises
    ------
    UsageError
        The data set has no such columns, no groups or no splits.
    UnknownNameError
        There is no such field of EXIF.
    """
    if not names:
        return manifest
    reads = {name: _reader(manifest, name) for name in dict.fromkeys(names)}
    rows = tuple(
        replace(row, extra=tuple((name, read(row)) for name, read in reads.items()))
        for row in manifest.rows
    )
    for i, name in enumerate(reads):
        if all(row.extra[i][1] is None for row in rows):
            raise UsageError(
                f"--by {name}: no image of '{printable(manifest.source)}' has a value.",
                hint="Leave it out, or name another column.",
            )
    return replace(manifest, rows=rows)


def _reader(manifest: Manifest, name: str) -> Callable[[Row], str | None]:
    """What gives a row's value."""
    if name in OWN:
        if all(getattr(row, name) is None for row in manifest.rows):
            raise UsageError(
                f"--by {name}: '{printable(manifest.source)}' has no {name}s.",
                hint=f"Name a column of the manifest, or give {name}s with --{name}-column.",
            )
        return lambda row: getattr(row, name)
    if name.startswith(EXIF):
        tag = _tag(name.removeprefix(EXIF))
        return lambda row: _exif(row.path, tag)
    if not any(name in dict(row.extra) for row in manifest.rows[:1]):
        raise UsageError(
            f"--by {name}: '{printable(manifest.source)}' is not a manifest file, and only those "
            "have columns.",
            hint="Allowed here are group, split, and fields of EXIF such as exif:Model.",
        )
    return lambda row: dict(row.extra)[name]


def _tag(field: str) -> int:
    from PIL.ExifTags import TAGS

    known = {text: number for number, text in TAGS.items()}
    if field not in known:
        raise UnknownNameError("EXIF field", field, sorted(known))
    return known[field]


def _exif(path: str, tag: int) -> str | None:
    """A field of an image's EXIF as text; None where the image has none or cannot be read."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file is judged where it is decoded
            with Image.open(path) as image:
                found = image.getexif()
                value = found.get(tag, found.get_ifd(EXIF_FOLDER).get(tag))
    except Exception:  # Pillow raises whatever a damaged file provokes
        return None
    text = "" if value is None else str(value).replace("\0", "").strip()
    return text or None

"""Columns beside label, group and split that a command asked for.

``--by NAME`` is read in one way by every command: ``group`` or ``split``; else a column of the
manifest that is called so; else a field of EXIF (``exif:Model``); else a part of the path as
``--group-from`` names it (``folder:0``, ``name:1``, a regular expression with a group).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from featx.data.group_from import is_path_rule, path_part
from featx.data.manifest import Manifest, Row
from featx.errors import UnknownNameError, UsageError, nearest
from featx.files import printable

EXIF = "exif:"
EXIF_FOLDER = 0x8769  # where cameras write times and exposures
OWN = ("group", "split")  # what rows have anyway
TYPO = 0.8  # how like a column a rule may be before it is taken for a misspelt one


@dataclass(frozen=True)
class Keep:
    """Columns of the data set to read.

    Parameters
    ----------
    asked : mapping of str to str
        Column -> the option that asks for it, such as ``--by camera``.
    needed : mapping of str to str
        Column that a model takes -> what a cell may hold, in words.
    """

    asked: Mapping[str, str] = field(default_factory=dict)
    needed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Keep | Sequence[str]) -> Keep:
        """Names alone are of ``--by``."""
        return columns if isinstance(columns, Keep) else cls({n: f"--by {n}" for n in columns})

    @property
    def names(self) -> list[str]:
        """Every column once."""
        return [*dict.fromkeys([*self.asked, *self.needed])]

    def reason(self, name: str) -> str:
        """What asks for a column, as a message begins."""
        return self.asked.get(name) or f"The model takes the column {self.needed[name]}"

    @property
    def of_table(self) -> list[str]:
        """The names that images by themselves do not have."""
        return [name for name in self.names if name not in OWN and not name.startswith(EXIF)]

    def in_table(self, columns: Iterable[str]) -> list[str]:
        """The names that are columns of a table with these."""
        known = set(columns)
        return [name for name in self.names if name in known and name not in OWN]

    def is_rule(self, name: str, columns: Sequence[str] = ()) -> bool:
        """Whether a name that is no column takes a part of the path."""
        if self.asked.get(name) != f"--by {name}" or not is_path_rule(name):
            return False
        typo = "(" in name and nearest(name, columns, cutoff=TYPO) is not None
        return not typo

    def require(self, columns: Iterable[str], source: str) -> None:
        """Refuse a table that lacks a column.

        Raises
        ------
        UnknownNameError, UsageError
            It is asked for; or a model needs it: then all that are missing are named.
        """
        known = list(columns)
        missing = [n for n in self.of_table if n not in known and not self.is_rule(n, known)]
        if asked := [name for name in missing if name in self.asked]:
            raise UnknownNameError("column", asked[0], known)
        if missing:
            wanted = ", ".join(self.needed[name] for name in missing)
            which = "the column" if len(missing) == 1 else f"{len(missing)} columns:"
            raise UsageError(
                f"The model also takes {which} {wanted}; '{printable(source)}' lacks "
                f"{'it' if len(missing) == 1 else 'them'}. It has: {printable(', '.join(known))}.",
                hint="Add the column; leave a cell empty where a value is not known.",
            )


def keep_columns(manifest: Manifest, keep: Keep | Sequence[str]) -> Manifest:
    """The same manifest, whose rows have a value of every name in ``extra``, None where empty.

    Parameters
    ----------
    manifest : Manifest
        Whose rows have the columns of its file already (`Keep.in_table`).
    keep : Keep, or sequence of str
        ``group``, ``split``, a column, ``exif:FIELD``, or of ``--by`` a part of the path.

    Raises
    ------
    UsageError
        The data set has no such columns, no groups or no splits.
    UnknownNameError
        There is no such field of EXIF.
    """
    wanted = Keep.of(keep)
    if not wanted.names:
        return manifest
    reads = {name: _reader(manifest, name, wanted) for name in wanted.names}
    rows = tuple(
        replace(row, extra=tuple((name, read(row)) for name, read in reads.items()))
        for row in manifest.rows
    )
    for i, name in enumerate(reads):
        # where a model needs it and all cells are empty, all are imputed
        if name in wanted.asked and all(row.extra[i][1] is None for row in rows):
            raise UsageError(
                f"{wanted.reason(name)}: no image of '{printable(manifest.source)}' has a value.",
                hint="Leave it out, or name another column, or a part of the path: folder:0.",
            )
    return replace(manifest, rows=rows)


def _reader(manifest: Manifest, name: str, keep: Keep) -> Callable[[Row], str | None]:
    """What gives a row's value."""
    asked = keep.reason(name)
    if name in OWN:
        if all(getattr(row, name) is None for row in manifest.rows):
            raise UsageError(
                f"{asked}: '{printable(manifest.source)}' has no {name}s.",
                hint=f"Name a column of the manifest, or give {name}s with --{name}-column.",
            )
        return lambda row: getattr(row, name)
    if any(name in dict(row.extra) for row in manifest.rows[:1]):
        return lambda row: dict(row.extra)[name]
    if name.startswith(EXIF):
        tag = _tag(name.removeprefix(EXIF))
        return lambda row: _exif(row.path, tag)
    if keep.is_rule(name):
        take = path_part(name, "--by")
        return lambda row: take(row.id)
    raise UsageError(
        f"{asked}: '{printable(manifest.source)}' is not a manifest file, and only those "
        "have columns.",
        hint="Allowed here are fields of EXIF such as exif:Model, and with --by group, split and "
        "parts of the path such as folder:0. A manifest is a table with a column path and others.",
    )


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

"""Delimited text to records: which character separates, and what is wrong with a line."""

from __future__ import annotations

import csv
import io

from featx.errors import DatasetError
from featx.files import printable

#: A spreadsheet of a country with decimal commas writes semicolons and calls it CSV.
SEPARATORS = ",;\t|"
_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}

Line = tuple[str, dict[str, str]]


def parse_delimited(text: str, separator: str | None = None) -> tuple[list[str], list[Line]]:
    """Parse RFC 4180 text: quoted fields may hold separators, quotes and line ends.

    Parameters
    ----------
    text : str
    separator : str, optional
        By default the first of comma, semicolon, tab and bar that the header has outside quotes,
        or the one that a line ``sep=;`` above it names.

    Returns
    -------
    columns : list of str
    lines : list of tuple
        Place for messages, and column -> field.

    Raises
    ------
    DatasetError
        Something is wrong; the message begins with where.
    """
    skipped, text, separator = _announced(text, separator)
    if separator is None:
        separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        columns = next((fields for fields in reader if fields), [])
        _check_header(columns)
        lines = []
        for fields in reader:
            blank = not any(field.strip() for field in fields)
            if any(fields) and not (blank and len(fields) > 1):  # spreadsheets leave such rows
                where = f"line {reader.line_num + skipped}"
                lines.append((where, _fields(where, fields, columns, separator)))
        return columns, lines
    except csv.Error as error:
        raise DatasetError(f"line {reader.line_num + skipped}: {error}") from None


def _announced(text: str, separator: str | None) -> tuple[int, str, str | None]:
    """A first line ``sep=;``, as Excel writes and reads it, taken off."""
    first, _, rest = text.partition("\n")
    first = first.rstrip("\r")
    if len(first) == 5 and first.lower().startswith("sep=") and separator is None:
        return 1, rest, first[4]
    return 0, text, separator


def _separator(text: str) -> str:
    header = next((line for line in text.split("\n") if line.strip()), "")
    outside = "".join(header.split('"')[::2])
    return next((each for each in SEPARATORS if each in outside), ",")


def _check_header(columns: list[str]) -> None:
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated == [""]:
        raise DatasetError(f"the header: {columns.count('')} columns have no name")
    if repeated:
        raise DatasetError(f"the header: column {repeated[0]!r} appears more than once")


def _fields(where: str, fields: list[str], columns: list[str], separator: str) -> dict[str, str]:
    if len(fields) == len(columns):
        return dict(zip(columns, fields, strict=True))
    n, m = len(fields), len(columns)
    counts = f"{n} field{'' if n == 1 else 's'} under {m} column{'' if m == 1 else 's'}"
    if columns[0].lstrip().startswith("#"):
        raise DatasetError(
            f"{where}: {counts}; the header '{printable(columns[0])}' is a comment",
            hint="Delete the lines above the one with the names of the columns.",
        )
    if fields[0].lstrip().startswith("#"):
        raise DatasetError(
            f"{where}: {counts}; '{printable(fields[0])}' is a comment, which CSV does not have",
            hint="Delete the line.",
        )
    hint = f"A value that holds {_NAMES.get(separator, repr(separator))} must be in quotes."
    raise DatasetError(f"{where}: {counts}", hint=hint if n > m else None)

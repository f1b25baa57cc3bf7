"""Lists that a person or `featx audit` made: images to leave out, images that belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from featx.config import DatasetConfig
from featx.data.cells import cell
from featx.data.columns import Columns, find_columns
from featx.data.likeness import loose
from featx.data.manifest import Manifest, Row
from featx.data.splits import link_components
from featx.data.table import ManifestRecord, is_manifest_name, read_lines, read_table
from featx.errors import DatasetError, UsageError, nearest
from featx.files import printable
from featx.types import IntArray

__all__ = ["curate"]

_ASKED = DatasetConfig(dataset="")  # columns under their usual names


def curate(manifest: Manifest, config: DatasetConfig, *, labelled: bool) -> Manifest:
    """A manifest without the images of ``config.exclude``, with the groups of ``config.group``.

    Parameters
    ----------
    manifest : Manifest
    config : DatasetConfig
    labelled : bool
        False leaves groups alone, as it does those of the manifest.

    Raises
    ------
    DatasetError
        A list cannot be read, has no column with paths (or groups), or names an image that the
        data set does not have.
    UsageError
        A list leaves no image.
    """
    ids = {*manifest.ids, *(passed.id for passed in manifest.passed)}
    excluded: set[str] = set()
    for source in config.exclude:
        excluded |= set(_known(manifest, ids, source, _listed(source, grouped=False)))
    groups: dict[str, str] = {}
    if config.group is not None:
        listed = _listed(config.group, grouped=True)
        known = _known(manifest, ids, config.group, listed)
        groups = {id: group for id, (_, group) in zip(known, listed, strict=True)}
    if excluded:
        manifest = _without(manifest, excluded)
    return _grouped(manifest, groups) if groups and labelled else manifest


def _without(manifest: Manifest, excluded: set[str]) -> Manifest:
    rows = tuple(row for row in manifest.rows if row.id not in excluded)
    if not rows:
        raise UsageError(
            f"--exclude leaves none of the {len(manifest):,} images of "
            f"'{printable(manifest.source)}'."
        )
    passed = tuple(each for each in manifest.passed if each.id not in excluded)
    ignored = Counter(manifest.ignored)
    ignored.subtract(each.kind.name for each in manifest.passed if each.id in excluded)
    counts = {reason: n for reason, n in ignored.items() if n} | {"excluded": len(excluded)}
    return replace(manifest, rows=rows, ignored=counts, passed=passed)


def _grouped(manifest: Manifest, ours: dict[str, str]) -> Manifest:
    """Groups of the manifest and of the file, joined wherever they share an image."""
    rows = manifest.rows
    codes = [
        _numbered([f"i{r.id}" if r.group is None else f"g{r.group}" for r in rows]),
        _numbered([f"g{ours[r.id]}" if r.id in ours else f"i{r.id}" for r in rows]),
    ]
    names = _names(rows, ours, link_components(*codes).tolist())
    return replace(
        manifest,
        rows=tuple(replace(row, group=name) for row, name in zip(rows, names, strict=True)),
    )


def _numbered(names: Sequence[str]) -> IntArray:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.int64)


def _names(rows: Sequence[Row], ours: dict[str, str], components: list[int]) -> list[str]:
    """A name for each component: that of its first group, else of its image; no two alike."""
    given: dict[int, str] = {}
    for choices in ([r.group for r in rows], [ours.get(r.id) for r in rows], [r.id for r in rows]):
        for name, component in zip(choices, components, strict=True):
            if name is not None:
                given.setdefault(component, name)
    taken: set[str] = set()
    for component, name in given.items():
        unique, number = name, 1
        while unique in taken:
            number += 1
            unique = f"{name} ({number})"
        taken.add(unique)
        given[component] = unique
    return [given[component] for component in components]


def _listed(source: str, *, grouped: bool) -> list[tuple[str, str]]:
    """Path and group of each line; a file that is no table is read as one path a line."""
    if not grouped and not is_manifest_name(source):
        return [(line, "") for line in read_lines(source)]
    if grouped and not is_manifest_name(source):
        raise DatasetError(
            f"'{printable(source)}' is not a table with columns path and group "
            "(.csv, .tsv, .jsonl, .parquet)."
        )
    table = read_table(source)
    try:
        columns = find_columns(table.columns, _ASKED)
        if grouped and columns.group is None:
            raise DatasetError(f"no column group; it has {printable(', '.join(table.columns))}.")
    except DatasetError as error:
        hint = "Name its columns path and group." if grouped else "Name one of its columns path."
        raise DatasetError(f"'{printable(source)}': {error.message}", hint=hint) from None
    return [_pair(record, columns, source, grouped=grouped) for record in table.records]


def _pair(
    record: ManifestRecord, columns: Columns, source: str, *, grouped: bool
) -> tuple[str, str]:
    """Path and group of one record."""
    try:
        path = cell(record.values.get(columns.path), columns.path, words=False)
        group = ""
        if columns.group is not None:
            group = cell(record.values.get(columns.group), columns.group) or ""
    except DatasetError as error:
        raise DatasetError(f"'{printable(source)}', {record.where}: {error.message}.") from None
    if not path or "\0" in group or (grouped and not group):
        raise DatasetError(
            f"'{printable(source)}', {record.where}: path or group is empty or not text."
        )
    return path, group


def _known(
    manifest: Manifest, ids: set[str], source: str, listed: Sequence[tuple[str, str]]
) -> list[str]:
    """The id that each listed path is."""
    found = [_id(path, ids) for path, _ in listed]
    unknown = [path for (path, _), id in zip(listed, found, strict=True) if id is None]
    if unknown:
        guess = _guess(unknown[0], ids)
        raise DatasetError(
            f"'{printable(source)}' names {len(unknown):,} of {len(listed):,} images that "
            f"'{printable(manifest.source)}' does not have, the first '{printable(unknown[0])}'.",
            hint="Images are named by their path below the data set's folder, or below the "
            "manifest's root." + (f" Did you mean '{printable(guess)}'?" if guess else ""),
        )
    return [id for id in found if id is not None]


def _guess(path: str, ids: set[str]) -> str | None:
    """The image that is named nearly so; by what cannot be seen first."""
    alike = [id for id in ids if loose(id) == loose(path.replace("\\", "/"))]
    if alike:
        return min(alike)
    return nearest(path, ids) if len(ids) <= 10_000 else None


def _id(path: str, ids: set[str]) -> str | None:
    """The image meant; featx's own tables put an apostrophe before what looks like a formula."""
    if path.startswith("'") and path[1:] in ids:
        return path[1:]
    return path if path in ids else None

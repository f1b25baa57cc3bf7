"""Lists that a person or `featx audit` made.

Corrected labels, images to leave out, images that belong together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from featx.config import DatasetConfig
from featx.data.cells import cell
from featx.data.columns import Columns, find_columns
from featx.data.corrections import correct
from featx.data.group_from import groups_from_paths
from featx.data.listed import known_ids
from featx.data.manifest import Manifest, Row
from featx.data.name_groups import number_groups
from featx.data.name_parts import free_name
from featx.data.splits import link_components
from featx.data.table import ManifestRecord, is_manifest_name, read_lines, read_table
from featx.errors import DatasetError, UsageError
from featx.files import printable

_ASKED = DatasetConfig(dataset="")  # columns under their usual names


def curate(
    manifest: Manifest, config: DatasetConfig, *, labelled: bool, grouped: bool | None = None
) -> Manifest:
    """A manifest as curated: corrected, grouped, and without what is excluded.

    By ``config.labels``, ``config.group``, ``config.group_from`` and ``config.exclude``.

    Parameters
    ----------
    manifest : Manifest
    config : DatasetConfig
    labelled : bool
        False leaves labels alone, as it does those of the manifest.
    grouped : bool, optional
        Likewise groups; by default as ``labelled``.

    Raises
    ------
    DatasetError
        A list cannot be read, has no column with paths (or groups), or names an image that the
        data set does not have; or decisions contradict each other.
    UsageError
        A list leaves no image, or ``config.group_from`` finds no group.
    """
    grouped = labelled if grouped is None else grouped
    ids = {*manifest.ids, *(passed.id for passed in manifest.passed)}
    excluded: set[str] = set()
    groups: list[dict[str, str]] = []
    if config.labels:
        decided = correct(manifest, ids, config.labels, labelled=labelled)
        manifest, excluded = decided.manifest, decided.excluded
        groups.append(decided.groups)
    for source in config.exclude:
        listed = [path for path, _ in _listed(source, grouped=False)]
        excluded |= set(known_ids(manifest, ids, source, listed))
    if config.group is not None:
        pairs = _listed(config.group, grouped=True)
        known = known_ids(manifest, ids, config.group, [path for path, _ in pairs])
        groups.append({id: group for id, (_, group) in zip(known, pairs, strict=True)})
    if excluded:
        manifest = _without(manifest, excluded)
    if config.group_from is not None and grouped:
        groups.append(groups_from_paths(manifest, config.group_from))
    for each in groups:
        manifest = _grouped(manifest, each) if each and grouped else manifest
    return manifest


def _without(manifest: Manifest, excluded: set[str]) -> Manifest:
    rows = tuple(row for row in manifest.rows if row.id not in excluded)
    if not rows:
        raise UsageError(
            f"--exclude and --labels together leave out all {len(manifest):,} images of "
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
    codes = [number_groups([r.group for r in rows]), number_groups([ours.get(r.id) for r in rows])]
    names = _names(rows, ours, link_components(*codes).tolist())
    return replace(
        manifest,
        rows=tuple(replace(row, group=name) for row, name in zip(rows, names, strict=True)),
    )


def _names(rows: Sequence[Row], ours: dict[str, str], components: list[int]) -> list[str]:
    """A name for each component: that of its first group, else of its image; no two alike."""
    given: dict[int, str] = {}
    for choices in ([r.group for r in rows], [ours.get(r.id) for r in rows], [r.id for r in rows]):
        for name, component in zip(choices, components, strict=True):
            if name is not None:
                given.setdefault(component, name)
    taken: set[str] = set()
    given = {component: free_name(name, taken) for component, name in given.items()}
    return [given[component] for component in components]


def _listed(source: str, *, grouped: bool) -> list[tuple[str, str]]:
    """Path and group of each line; a file that is no table is read as one path a line."""
    if not is_manifest_name(source):
        if not grouped:
            return [(line, "") for line in read_lines(source)]
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

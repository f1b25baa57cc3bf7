"""``featx inspect``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from featx import console
from featx.cli._layout import LaidOutCommand, option
from featx.cli.options import as_json, config_options, strict
from featx.config import DatasetConfig, extract_command
from featx.files import printable

if TYPE_CHECKING:
    from featx.data.findings import Duplicates, Extent, Inspection

SHOWN = 10  # of a list that may be long; --json has all of it


@click.command(
    cls=LaidOutCommand,
    name="inspect",
    examples=(
        "featx inspect photos/",
        "featx inspect list.csv --path-column file --label-column kind",
    ),
)
@config_options(DatasetConfig)
@option(
    "--workers",
    type=click.IntRange(1, 512),
    metavar="N",
    default=None,
    help="Decoding threads. [CPU cores]",
)
@strict
@as_json
def command(data: DatasetConfig, workers: int | None, strict: bool, as_json: bool) -> None:
    """Show what DATASET holds: classes, splits, groups, sizes, broken files and duplicates."""
    from featx.data.inspection import inspect_manifest
    from featx.data.opening import open_data, tell_corrections, tell_passed
    from featx.data.passed import passed_over

    manifest = open_data(data, quiet=True)
    tell_corrections(manifest)
    found = inspect_manifest(manifest, workers=workers)
    if as_json:
        console.print_json(found.document())
        tell_passed(manifest)
    else:
        _print(found, passed_over(manifest))
    if strict:
        found.require_all()
    found.require_any()
    if not as_json:
        console.log(f"Next: {extract_command(data)}")


def _print(found: Inspection, passed: str) -> None:
    console.text(_headline(found))
    if found.classes:
        _print_classes(found)
    elif len(found.splits) > 1:
        console.table("\nSplits", ("split", "images"), list(found.splits.items()))
    _print_groups(found)
    _print_files(found)
    _print_broken(found)
    _print_duplicates(found.duplicates)
    if passed:
        console.text(f"\nPassed over: {passed}")
    if found.advice:
        console.text("\n" + "\n".join(f"→ {sentence}" for sentence in found.advice))


def _headline(found: Inspection) -> str:
    text = f"{printable(found.source)}: {console.counted(found.n_images, 'image')}"
    if found.classes:
        classes = console.counted(len(found.classes), "class")
        text += f" in {classes}, imbalance {found.imbalance_ratio:.1f} : 1"
    if found.n_unlabelled:
        text += f", {found.n_unlabelled:,} without a label"
    return text


def _print_classes(found: Inspection) -> None:
    splits = list(found.splits)
    columns = ["class", *splits, "total"] if splits != ["all"] else ["class", "images"]
    rows: list[list[str | int]] = []
    for label, counts in found.classes.items():
        per_split = [counts.get(split, 0) for split in splits]
        total = [sum(per_split)] if splits != ["all"] else []
        rows.append([printable(label), *per_split, *total])
    console.table("\nClasses", columns, rows)


def _print_groups(found: Inspection) -> None:
    if found.groups is None:
        return
    console.text(
        f"\nGroups: {found.groups.n_groups:,}, images in each: {_range(found.groups.n_images)}"
    )
    straddling = found.groups.straddling
    if straddling:
        console.table(
            f"Groups in more than one split: {len(straddling)}",
            ("group", "images"),
            [(printable(g), _counted(splits)) for g, splits in list(straddling.items())[:SHOWN]],
        )
        _more(len(straddling))


def _print_files(found: Inspection) -> None:
    if found.width_px and found.height_px and found.size_bytes:
        console.text(
            f"\nWidth:   {_range(found.width_px)} px\nHeight:  {_range(found.height_px)} px\n"
            f"File:    {_range(found.size_bytes)} bytes\n"
            f"Formats: {_counted(found.formats)}\nModes:   {_counted(found.modes)}"
        )


def _print_broken(found: Inspection) -> None:
    console.text(f"\nBroken files: {len(found.broken) or 'none'}")
    if found.broken:
        rows = [(printable(b.id), printable(b.reason)) for b in found.broken[:SHOWN]]
        console.table("", ("file", "reason"), rows)
        _more(len(found.broken))


def _print_duplicates(duplicates: list[Duplicates]) -> None:
    from featx.data.copies import copies_sentence

    console.text(f"\n{copies_sentence(duplicates)}")
    if not duplicates:
        return
    rows = [
        (_where(duplicate), " = ".join(printable(id) for id in duplicate.ids[:SHOWN]))
        for duplicate in duplicates[:SHOWN]
    ]
    console.table("", ("across", "files"), rows)
    _more(len(duplicates))


def _where(duplicate: Duplicates) -> str:
    """What the copies lie across."""
    crossed = (("splits", duplicate.across_splits), ("classes", duplicate.across_classes))
    return " and ".join(name for name, crosses in crossed if crosses) or "neither"


def _range(spread: Extent) -> str:
    return f"{spread.min:,} to {spread.max:,}, median {spread.median:,.0f}"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _more(total: int) -> None:
    if total > SHOWN:
        console.text(f"… and {total - SHOWN:,} more; --json lists all.")

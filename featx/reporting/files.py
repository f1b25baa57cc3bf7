"""Figures and tables as files, for papers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from featx.files import make_directory, write_atomic
from featx.formats import write_rows
from featx.ours import FolderKind, read_json
from featx.reporting.blocks import Table
from featx.reporting.contents import Subject
from featx.reporting.drawing import picture
from featx.reporting.figures import figures
from featx.reporting.gallery import cases, cases_table, least_certain, worst_mistakes
from featx.reporting.learning_figures import learning_figures
from featx.reporting.map import MapLayout, layout_table
from featx.reporting.tables import candidates, class_rows, confused_pairs, estimates

MARKER = ".featx-figures.json"  # lists what featx wrote, so that it may be replaced
MADE_BY = "featx report --figures"


def write_figures(folder: Path, subject: Subject, layout: MapLayout | None) -> list[str]:
    """Write each figure as SVG and PNG, and each table as CSV; the same run gives the same bytes.

    Parameters
    ----------
    folder : Path
        Made where it is not there; figures and tables of before are replaced.
    subject : Subject
    layout : MapLayout, optional
        Of the map; None leaves its table out.

    Returns
    -------
    list of str
        The files' names.
    """
    drawn, tables = [*figures(subject), *learning_figures(subject)], list(_tables(subject, layout))
    written = [f"{figure.name}.{kind}" for figure in drawn for kind in ("svg", "png")]
    written += [f"{name}.csv" for name, _ in tables]
    make_directory(folder)
    # The list first: a file that is not on it is somebody else's.
    note = {"made_by": MADE_BY, "files": sorted({*_listed(folder), *written})}
    write_atomic(folder / MARKER, json.dumps(note, indent=2).encode())
    for figure in drawn:
        for kind in ("svg", "png"):
            write_atomic(folder / f"{figure.name}.{kind}", picture(figure, kind))
    for name, table in tables:
        write_rows(folder / f"{name}.csv", table.columns, table.rows, overwrite=True)
    return written


def _listed(folder: Path) -> list[str]:
    """Names of the figures and tables that featx wrote into a folder."""
    note = read_json(folder / MARKER)
    files = note.get("files") if note.get("made_by") == MADE_BY else None
    return [str(name) for name in files] if isinstance(files, list) else []


def _is_figures(folder: Path) -> bool:
    """Whether it has the list, and every picture and table in it is listed."""
    listed = _listed(folder)
    there = [path.name for path in folder.iterdir() if path.suffix in {".svg", ".png", ".csv"}]
    return bool(listed) and set(there) <= set(listed)


FIGURES = FolderKind(
    "figures",
    _is_figures,
    lambda folder: {MARKER, *_listed(folder)}.__contains__,
    room_bytes=1 << 21,
    in_place=True,
)


def _tables(subject: Subject, layout: MapLayout | None) -> Iterator[tuple[str, Table]]:
    if subject.results.get("candidates"):
        yield "candidates", candidates(subject.results)
    yield "estimates", estimates(subject.results)
    yield "classes", class_rows(subject.results)
    yield "confused_pairs", confused_pairs(subject)
    for figure in (*figures(subject), *learning_figures(subject)):
        yield figure.name, figure.table
    yield "worst_mistakes", cases_table(subject, cases(subject, worst_mistakes(subject)))
    yield "least_certain", cases_table(subject, cases(subject, least_certain(subject)))
    if layout is not None:
        yield "map", layout_table(subject, layout)

"""Figures and tables as files, for papers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from featx.files import write_atomic
from featx.formats import write_rows
from featx.reporting.contents import Subject
from featx.reporting.drawing import picture
from featx.reporting.figures import figures
from featx.reporting.gallery import cases, cases_table, least_certain, worst_mistakes
from featx.reporting.map import Layout, layout_table
from featx.reporting.tables import Table, candidates, class_rows, confused_pairs, estimates

__all__ = ["write_figures"]


def write_figures(folder: Path, subject: Subject, layout: Layout | None) -> list[str]:
    """Write each figure as SVG and PNG, and each table as CSV; the same run gives the same bytes.

    Parameters
    ----------
    folder : Path
        Made where it is not there; files of the same name are replaced.
    subject : Subject
    layout : Layout, optional
        Of the map; None leaves its table out.

    Returns
    -------
    list of str
        The files' names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for figure in figures(subject):
        for kind in ("svg", "png"):
            write_atomic(folder / f"{figure.name}.{kind}", picture(figure, kind))
            written.append(f"{figure.name}.{kind}")
    for name, table in _tables(subject, layout):
        write_rows(folder / f"{name}.csv", table.columns, table.rows, overwrite=True)
        written.append(f"{name}.csv")
    return written


def _tables(subject: Subject, layout: Layout | None) -> Iterator[tuple[str, Table]]:
    if subject.results.get("candidates"):
        yield "candidates", candidates(subject.results)
    yield "estimates", estimates(subject.results)
    yield "classes", class_rows(subject.results)
    yield "confused_pairs", confused_pairs(subject)
    for figure in figures(subject):
        yield figure.name, figure.table
    yield "worst_mistakes", cases_table(subject, cases(subject, worst_mistakes(subject)))
    yield "least_certain", cases_table(subject, cases(subject, least_certain(subject)))
    if layout is not None:
        yield "map", layout_table(subject, layout)

"""Labels from and to other files: manifests, corrections, class folders, Label Studio, CVAT."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from featx import console
from featx.config import DatasetConfig
from featx.data.reader import read_manifest
from featx.data.table import read_table
from featx.errors import DatasetError, UsageError
from featx.files import OddFileError, file_start, printable, read_bounded, write_atomic
from featx.formats import find_writer, write_rows
from featx.formats.csv import unescape
from featx.labelling.log import LabelEvent, LabelLog
from featx.ours import FileKind, is_table
from featx.outputs import Output, Used, claimed
from featx.parsing import parse_json
from featx.shell import shell_line
from featx.system_errors import writing

MOST_BYTES = 1 << 28
COLUMNS = ("path", "label", "chosen", "batch", "who", "when")
MANIFEST = FileKind("a table of labels", is_table(COLUMNS))
#: Exports of other tools, by the ending of the file.
FOREIGN = {
    ".json": FileKind(
        "labels for Label Studio", lambda path: file_start(path).lstrip().startswith(b"[")
    ),
    ".xml": FileKind("labels for CVAT", lambda path: b"<annotations" in file_start(path)),
}
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")  # Label Studio puts this before an uploaded file's name


@dataclass
class ReadLabels:
    """Labels that a file gives to images of a folder.

    Parameters
    ----------
    labels : dict of str to str
        By the id of the image.
    excluded, unsure : set of str
        Ids of images that do not belong to the data set, or whose class cannot be told.
    unknown : list of str
        Names in the file that are no image of the folder, or that several images could be.
    """

    labels: dict[str, str] = field(default_factory=dict)
    excluded: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)

    def give(self, id: str | None, named: str, label: str | None) -> None:
        """Note one label; the later of two of one image counts."""
        if id is None:
            self.unknown.append(named)
        elif label:
            self.labels[id] = label


def read_labels(
    source: str | os.PathLike[str], ids: Sequence[str], paths: Sequence[str]
) -> ReadLabels:
    """Read labels of images by a file of any kind that featx knows.

    Parameters
    ----------
    source : path
        A folder of class folders; a CSV, TSV, JSONL or Parquet manifest; ``corrections.csv`` of a
        page of featx; a file of labels (``.jsonl``); a JSON export of Label Studio; or an XML
        export of CVAT ("CVAT for images").
    ids, paths : sequence of str
        Of the images of the folder. An image is found by its path, else by its id, else by its
        name where only one image has it.

    Raises
    ------
    UsageError
        There is no such file.
    DatasetError
        It is of no kind that featx knows, or damaged.
    """
    place = Path(source)
    shown = printable(os.fspath(source))
    if not place.exists():
        raise UsageError(f"There is no file of labels '{shown}'.")
    find = _finder(ids, paths)
    try:
        if place.suffix.lower() == ".json":
            return _label_studio(read_bounded(place, MOST_BYTES), find)
        if place.suffix.lower() == ".xml":
            return _cvat(read_bounded(place, MOST_BYTES), find)
    except OddFileError as error:
        raise DatasetError(f"'{shown}' cannot be read: {error}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, ElementTree.ParseError) as error:
        raise DatasetError(
            f"'{shown}' is neither a JSON export of Label Studio nor an XML export of CVAT: "
            f"{printable(str(error))}.",
            hint='Export as "JSON" from Label Studio, or as "CVAT for images 1.1" from CVAT.',
        ) from None
    if is_log(place):
        return _log(LabelLog(place), find)
    if place.is_file() and "decision" in (table := read_table(os.fspath(place))).columns:
        rows = [record.values for record in table.records]
        return _corrections(rows, find)
    return _manifest(os.fspath(place), find)


Finder = Callable[[str], str | None]


def _finder(ids: Sequence[str], paths: Sequence[str]) -> Finder:
    by_path = {os.path.realpath(path): id for id, path in zip(ids, paths, strict=True)}
    known, by_name = set(ids), dict[str, str | None]()
    for id in ids:
        name = id.rpartition("/")[2]
        by_name[name] = None if name in by_name else id

    def find(name: str) -> str | None:
        if name in known:
            return name
        if (id := by_path.get(os.path.realpath(name))) is not None:
            return id
        if unescape(name) in known:
            return unescape(name)
        last = name.replace("\\", "/").rpartition("/")[2]
        uploaded = _UPLOADED.fullmatch(last)
        return by_name.get(last) or (by_name.get(uploaded[1]) if uploaded else None)

    return find


def is_log(source: str | os.PathLike[str]) -> bool:
    """Whether a file is one of labels, as `featx label` writes it, and no manifest."""
    place = Path(source)
    if place.suffix.lower() != ".jsonl" or not place.is_file():
        return False
    with place.open("rb") as file:
        first = file.readline(1 << 20)
    try:
        value = parse_json(first)
    except ValueError:
        return False
    return isinstance(value, dict) and "action" in value


def _log(log: LabelLog, find: Finder) -> ReadLabels:
    found = ReadLabels()
    for id, event in log.decisions().items():
        there = find(id)
        found.give(there, id, event.label if event.action == "label" else None)
        if there is not None and event.action == "exclude":
            found.excluded.add(there)
        elif there is not None and event.action == "unsure":
            found.unsure.add(there)
    return found


def _corrections(rows: Sequence[Mapping[str, Any]], find: Finder) -> ReadLabels:
    """Decisions of a page: a new label, the old one confirmed, or an image to leave out."""
    found = ReadLabels()
    for row in rows:
        name = str(row.get("id") or row.get("path") or "")
        decision, id = str(row.get("decision") or "").strip().lower(), find(name)
        label = row.get("value") if decision == "relabel" else row.get("label")
        if decision in ("relabel", "right"):
            found.give(id, name, unescape(str(label or "")))
        elif decision == "exclude" and id is not None:
            found.excluded.add(id)
        elif decision == "exclude":
            found.unknown.append(name)
    return found


def _manifest(source: str, find: Finder) -> ReadLabels:
    found = ReadLabels()
    manifest = read_manifest(DatasetConfig(dataset=source))
    if not any(row.label for row in manifest.rows):
        raise DatasetError(
            f"'{printable(source)}' has no labels.",
            hint="A manifest has them in the column label, a folder in the names of its folders.",
        )
    for row in manifest.rows:
        id = find(os.path.realpath(row.path))
        found.give(id if id is not None else find(row.id), row.id, row.label)
    return found


def _label_studio(data: bytes, find: Finder) -> ReadLabels:
    """Tasks with annotations; of several the last that was not cancelled counts."""
    tasks, found = parse_json(data), ReadLabels()
    if not isinstance(tasks, list):
        raise ValueError("it is no list of tasks")
    for task in tasks:
        texts = [text for text in task["data"].values() if isinstance(text, str)]
        name = task["data"].get("image") or next(iter(texts), "")
        name = name.partition("?d=")[2] or name  # a file below Label Studio's own storage
        labels = [
            choice
            for annotation in task.get("annotations") or task.get("completions") or []
            if not annotation.get("was_cancelled")
            for result in annotation["result"]
            if result.get("type") == "choices"
            for choice in result["value"]["choices"][:1]
        ]
        found.give(find(name), name, labels[-1] if labels else None)
    return found


def _cvat(data: bytes, find: Finder) -> ReadLabels:
    """Images with a tag; shapes are passed over."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("it declares entities, which no export of CVAT does")
    root, found = ElementTree.fromstring(data), ReadLabels()
    if root.tag != "annotations":
        raise ValueError(f"its root is {root.tag!r}, not 'annotations'")
    for image in root.iter("image"):
        tags = [tag.get("label") for tag in image.iter("tag")]
        found.give(find(image.attrib["name"]), image.attrib["name"], tags[-1] if tags else None)
    return found


def export_labels(
    path: str | os.PathLike[str], log: LabelLog, paths: Mapping[str, str], *, overwrite: bool
) -> int:
    """Write labels as a manifest, or for another tool, and say what to do next.

    Parameters
    ----------
    path : path
        ``.csv``, ``.jsonl`` or ``.parquet`` for a manifest that `featx.fit` takes, with how each
        image was chosen: paths are relative to its folder where all images lie below it, else they
        are ids, and the manifest is read with ``--root``; ``.json`` for tasks of Label Studio;
        ``.xml`` for "CVAT for images 1.1".
    log : LabelLog
    paths : mapping of str to str
        Where each image of the folder is, by its id.
    overwrite : bool
        Replace an export that is there.

    Returns
    -------
    int
        Images with a label.
    """
    kind = FOREIGN.get(Path(path).suffix.lower())
    if kind is None:
        find_writer(path)
    output = Output(path, "--export", kind or MANIFEST, overwrite)
    used = [] if log.path is None else [Used("the labels", log.path)]
    with claimed([output], used) as claims:
        claims.spare("the images", list(paths.values()))
        place = Path(claims.place(path)).absolute()
        decisions = [e for id, e in log.decisions().items() if e.action == "label" and id in paths]
        labelled = sorted(decisions, key=lambda event: os.fsencode(event.id))
        below = _all_below(place.parent, paths.values())
        with writing("the labels", place, kept="The file of labels is kept."):
            if kind is not None:
                write = _to_cvat if place.suffix.lower() == ".xml" else _to_label_studio
                write_atomic(place, write(labelled))
            else:
                rows = _rows(labelled, paths, place.parent if below else None)
                write_rows(place, COLUMNS, rows, overwrite=True)
    console.log(f"{console.counted(len(labelled), 'label')} written to {printable(str(place))}")
    if kind is None and labelled:
        first = labelled[0].id
        root = [] if below else ["--root", paths[first].removesuffix(first)]
        console.log(f"\nNext: {shell_line('featx', 'fit', os.fspath(path), *root)}")
    return len(labelled)


def _rows(
    labelled: Sequence[LabelEvent], paths: Mapping[str, str], folder: Path | None
) -> Iterator[list[Any]]:
    """Rows of a manifest; paths are relative to a folder, or ids."""
    for e in labelled:
        path = e.id if folder is None else Path(os.path.relpath(paths[e.id], folder)).as_posix()
        yield [path, e.label, e.chosen, e.batch, e.who, e.when]


def _all_below(folder: Path, paths: Iterable[str]) -> bool:
    start = os.path.join(folder, "")  # noqa: PTH118 - with a separator at its end
    return all(path.startswith(start) for path in paths)


def _to_label_studio(labelled: Sequence[LabelEvent]) -> bytes:
    tasks = [
        {
            "data": {"image": printable(event.id)},
            "meta": {"chosen": event.chosen},
            "annotations": [
                {
                    "result": [
                        {
                            "from_name": "choice",
                            "to_name": "image",
                            "type": "choices",
                            "value": {"choices": [event.label]},
                        }
                    ]
                }
            ],
        }
        for event in labelled
    ]
    return json.dumps(tasks, indent=1).encode()


def _to_cvat(labelled: Sequence[LabelEvent]) -> bytes:
    """Names are printable: XML cannot hold control characters."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    for i, event in enumerate(labelled):
        image = ElementTree.SubElement(root, "image", id=str(i), name=printable(event.id))
        ElementTree.SubElement(image, "tag", label=printable(str(event.label)), source="manual")
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))

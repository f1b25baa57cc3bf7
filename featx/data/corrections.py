"""``corrections.csv``: what a person decided of single images, applied where a data set is read.

One row a decision, with the columns ``id``, ``sha256``, ``label``, ``decision`` and ``value``; see
docs/corrections.md. The data set itself is left as it is.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from featx.console import counted
from featx.data.cells import cell
from featx.data.hashing import content_hash, read_bytes
from featx.data.listed import as_listed, known_ids
from featx.data.manifest import Corrections, Manifest, Row
from featx.data.table import ManifestRecord, read_table
from featx.errors import DatasetError, DecodeError, nearest
from featx.files import printable

COLUMNS = ("id", "sha256", "label", "decision", "value")
DECISIONS = ("right", "relabel", "exclude", "group")
_NEEDS_VALUE = frozenset({"relabel", "group"})
_DIGITS = re.compile(r"[0-9a-f]{16,64}")  # of a SHA-256: all, or at least the first 16
_MOST_NAMED = 3


@dataclass(frozen=True)
class Decision:
    """One row of a file of corrections.

    Parameters
    ----------
    source, where : str
        The file, and the place in it, for messages.
    id, decision : str
    sha256 : str
        Of the image that was decided on, or its first digits; empty where it is not known.
    label : str or None
        What the image was labelled when it was decided on, where that is known.
    value : str or None
        The new label, or what the image belongs with.
    """

    source: str
    where: str
    id: str
    sha256: str
    label: str | None
    decision: str
    value: str | None

    @property
    def place(self) -> str:
        """The file and the place in it."""
        return f"'{printable(self.source)}', {self.where}"


@dataclass(frozen=True)
class Amended:
    """What corrections make of a manifest.

    Parameters
    ----------
    manifest : Manifest
        With the new labels; its ``corrections`` are what was done.
    excluded : set of str
        Ids of the images to leave out.
    groups : dict of str to str
        Id -> name of what the image belongs with.
    """

    manifest: Manifest
    excluded: set[str]
    groups: dict[str, str]


def correct(
    manifest: Manifest, ids: Collection[str], sources: Sequence[str], *, labelled: bool
) -> Amended:
    """Apply files of corrections to a manifest.

    Parameters
    ----------
    manifest : Manifest
    ids : collection of str
        Of every image and file of the data set.
    sources : sequence of str
        CSV, TSV, JSONL or Parquet files.
    labelled : bool
        False applies exclusions alone, as labels and groups play no part.

    Raises
    ------
    DatasetError
        A file cannot be read, lacks a column, names an image that the data set does not have, or
        has a decision that is unknown, incomplete or contradicts another one.
    """
    decisions = [each for source in sources for each in _read(manifest, ids, source)]
    _refuse_contradictions(decisions)
    rows = {row.id: row for row in manifest.rows}
    kept, stale = [], []
    for each in decisions:
        why = _stale(each, rows.get(each.id))
        if why:
            stale.append({"id": each.id, "decision": each.decision, "reason": why})
        else:
            kept.append(each)
    if not labelled:
        kept = [each for each in kept if each.decision == "exclude"]
    excluded = {each.id for each in kept if each.decision == "exclude"}
    new = {each.id: each.value for each in kept if each.decision == "relabel"}
    changed = tuple(replace(row, label=new.get(row.id, row.label)) for row in manifest.rows)
    groups = _joined([each for each in kept if each.decision == "group"], ids)
    done = Corrections(
        files=tuple(sources),
        decisions=dict(Counter(each.decision for each in kept)),
        changes=tuple(_changes(kept, rows)),
        not_applied=tuple(stale),
        new_classes=tuple(sorted({v for v in new.values() if v} - {*manifest.classes})),
    )
    return Amended(replace(manifest, rows=changed, corrections=done), excluded, groups)


def _read(manifest: Manifest, ids: Collection[str], source: str) -> list[Decision]:
    table = read_table(source)
    path = next((name for name in ("id", "path") if name in table.columns), None)
    missing = [name for name in ("id", "decision") if name not in (*table.columns, path and "id")]
    if path is None or missing:
        raise DatasetError(
            f"'{printable(source)}' is not a table of corrections: it has no column {missing[0]}; "
            f"it has {printable(', '.join(table.columns)) or 'none'}.",
            hint=f"Its columns are {', '.join(COLUMNS)}; a page of featx downloads such a file.",
        )
    texts = [_texts(record, path, source) for record in table.records]
    named = [text for text in texts if text["decision"]]
    found = known_ids(manifest, ids, source, [text["id"] for text in named])
    return [
        _decision(text, id, source, manifest, ids) for text, id in zip(named, found, strict=True)
    ]


def _texts(record: ManifestRecord, path: str, source: str) -> dict[str, str]:
    """The cells of a row as text, with its place."""
    found = {"where": record.where}
    try:
        for name in COLUMNS:
            column = path if name == "id" else name
            found[name] = cell(record.values.get(column), column, words=False) or ""
    except DatasetError as error:
        raise DatasetError(f"'{printable(source)}', {record.where}: {error.message}.") from None
    return found


def _decision(
    text: dict[str, str], id: str, source: str, manifest: Manifest, ids: Collection[str]
) -> Decision:
    where = f"'{printable(source)}', {text['where']}"
    decision, sha256 = text["decision"].strip().lower(), text["sha256"].strip().lower()
    if decision not in DECISIONS:
        guess = nearest(decision, DECISIONS)
        raise DatasetError(
            f"{where}: the decision is '{printable(text['decision'])}'; it can be "
            f"{', '.join(DECISIONS)}.",
            hint=f"Did you mean {guess}?" if guess else None,
        )
    if sha256 and not _DIGITS.fullmatch(sha256):
        raise DatasetError(
            f"{where}: sha256 is '{printable(text['sha256'])}', which is not 16 to 64 hexadecimal "
            "digits.",
            hint="Leave the cell empty if the content hash is unknown.",
        )
    if decision in _NEEDS_VALUE and not text["value"]:
        what = "a class" if decision == "relabel" else "an image or a shared group name"
        raise DatasetError(f"{where}: {decision} needs {what} in the column value.")
    known = ids if decision == "group" else manifest.classes
    value = _written(text["value"], known) if decision in _NEEDS_VALUE else None
    label = _written(text["label"], manifest.classes) if text["label"] else None
    return Decision(source, text["where"], id, sha256, label, decision, value)


def _written(text: str, known: Collection[str]) -> str:
    """The text before it was written to a table; a name that is known is taken as it is."""
    return as_listed(text, known) or text.removeprefix("'")


def _refuse_contradictions(decisions: Sequence[Decision]) -> None:
    """An image has one of right, relabel and exclude; groups go along with any of them."""
    first: dict[str, Decision] = {}
    for each in decisions:
        if each.decision == "group":
            continue
        other = first.setdefault(each.id, each)
        if (other.decision, other.value) != (each.decision, each.value):
            raise DatasetError(
                f"Decisions about '{printable(each.id)}' contradict each other: "
                f"{_described(other)} ({other.place}) and {_described(each)} ({each.place}).",
                hint="Keep one of the two rows.",
            )


def _described(each: Decision) -> str:
    return each.decision + (f" as '{printable(each.value)}'" if each.value else "")


def _stale(each: Decision, row: Row | None) -> str:
    """Why a decision is no longer about the image that is there; empty where it still is."""
    if row is None:
        return "" if each.decision == "exclude" else "the file is not read as an image"
    if each.label is not None and row.label not in (each.label, each.value):
        return f"its label was {each.label!r} and is {row.label!r} now"
    if each.sha256:
        try:
            now = content_hash(read_bytes(row.path)).hex()
        except DecodeError:
            return "the file cannot be read"
        if not now.startswith(each.sha256):
            return "the file has changed since"
    return ""


def _changes(kept: Sequence[Decision], rows: dict[str, Row]) -> Iterator[dict[str, str | None]]:
    """What is other than in the data set: an entry a decision, each once."""
    seen = set()
    for each in kept:
        was = rows[each.id].label if each.id in rows else None
        if each.decision == "right" or (each.decision == "relabel" and was == each.value):
            continue
        if (key := (each.id, each.decision, each.value)) not in seen:
            seen.add(key)
            yield {"id": each.id, "decision": each.decision, "label": was, "value": each.value}


def _joined(decisions: Sequence[Decision], ids: Collection[str]) -> dict[str, str]:
    """Id -> the first name of everything that the decisions join it with.

    A value that is an image means that image; any other is a name that images share.
    """
    leads: dict[tuple[str, str], tuple[str, str]] = {}

    def lead(node: tuple[str, str]) -> tuple[str, str]:
        while (above := leads.setdefault(node, node)) != node:
            node = above
        return node

    for each in decisions:
        value = each.value or ""
        other = ("image" if value in ids else "name", value)
        leads[lead(("image", each.id))] = lead(other)
    members: dict[tuple[str, str], list[str]] = defaultdict(list)
    for node in leads:
        if node[0] == "image":
            members[lead(node)].append(node[1])
    return {id: name for (_, name), images in members.items() for id in images}


def corrections_sentences(done: Corrections) -> Iterator[str]:
    """What corrections have done, and what of them was not applied, in plain sentences."""
    n = Counter(change["decision"] for change in done.changes)
    parts = [
        f"{counted(n['relabel'], 'label')} changed",
        f"{counted(n['exclude'], 'image')} excluded",
        f"{counted(n['group'], 'image')} grouped",
        f"{counted(done.decisions.get('right', 0), 'label')} confirmed",
    ]
    yield f"Corrections: {', '.join(parts)}."
    if done.new_classes:
        names = ", ".join(f"'{printable(name)}'" for name in done.new_classes[:_MOST_NAMED])
        yield (
            f"Corrections name {counted(len(done.new_classes), 'class')} that the data "
            f"set does not have: {names}; check their spelling."
        )
    if done.not_applied:
        first = done.not_applied[0]
        decisions = counted(len(done.not_applied), "decision", "was/were")
        yield (
            f"{decisions} not applied, the first about '{printable(first['id'])}': "
            f"{printable(first['reason'])}."
        )

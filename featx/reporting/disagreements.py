"""The images that compared runs predict differently, with their pictures where they are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featx.console import counted
from featx.data.hashing import content_hash, read_bytes
from featx.data.reader import read_manifest
from featx.errors import DecodeError, FeatxError
from featx.reporting.blocks import About, Block, Card, Decisions, Gallery, Paragraph, Strong
from featx.reporting.pictures import by_path, picture
from featx.runs import Run, load_run

PICTURE_PX = 160


def disagreement_blocks(document: Mapping[str, Any]) -> Iterator[Block]:
    """A card an image: what each run predicts, and a decision about its label.

    Parameters
    ----------
    document : mapping
        Of a `featx.comparing.compare.Comparison`; pictures come from the data set of its first run.
    """
    found = document["disagreements"]
    rows = {row[0]: row for row in reversed(found["rows"])}  # of several partitions the first
    if not rows:
        return
    labels = [run["label"] for run in document["runs"]]
    try:
        run = load_run(document["runs"][0]["folder"])
        paths = _paths(run, set(rows))
    except FeatxError as error:
        yield Paragraph(f"No pictures: {error.message}", "note")
        return
    yield Paragraph(
        "Click a picture to enlarge it. Decide about an image where you are sure: the decisions "
        "are downloaded as corrections.csv, which featx fit DATASET --labels corrections.csv "
        "applies."
    )
    yield Decisions(f"compare {run.name} {run.results.dataset.sha256}", run.classes)
    images = by_path((path for path, _ in paths.values()), PICTURE_PX)
    cards = []
    for row in reversed(rows.values()):
        name, true, predicted = row[0], row[3], row[4:-1]
        path, sha256 = paths.get(name, ("", ""))
        guess = next((label for label in predicted if label != true), "")
        lines = [f"{label}: {c}" for label, c in zip(labels, predicted, strict=True)]
        cards.append(
            Card([picture(images.get(path), name)], ["labelled ", Strong(true)], [*lines, name],
                 about=About(name, sha256, true, guess))
        )  # fmt: skip
    yield Gallery(cards, "figures")
    if found["n"] > len(rows):
        shown = counted(len(rows), "image", "is/are")
        yield Paragraph(
            f"{shown} shown, of {found['n']:,} predictions that differ; --disagreements FILE "
            "writes all.",
            "note",
        )


def _paths(run: Run, ids: set[str]) -> dict[str, tuple[str, str]]:
    """Id -> path and SHA-256 of the images that are still those that the run evaluated."""
    then: dict[str, str] = {}
    for part in run.levels.values():
        if part.content is not None:
            then.update(zip(part.ids, part.content, strict=True))
    found = {}
    for row in read_manifest(run.config.data).rows:
        if row.id in ids:
            try:
                sha256 = content_hash(read_bytes(row.path)).hex()
            except DecodeError:
                continue
            if sha256.startswith(then.get(row.id, "")):
                found[row.id] = row.path, sha256
    return found

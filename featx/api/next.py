"""`featx.next_images`: which images of a folder to label next, and why."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from featx import console
from featx.artifact import Model, load_model
from featx.config import DatasetConfig, ExtractConfig, NextConfig
from featx.config.keywords import keywords, read_options
from featx.data.opening import open_data
from featx.errors import UsageError
from featx.extraction.embedding import extract_with_model
from featx.extraction.used import used_by
from featx.files import printable
from featx.formats import table_output, write_claimed
from featx.labelling import LabellingSession, LabelLog, LabelSuggestion
from featx.labelling.exchange import is_log, read_labels
from featx.labelling.proposing import propose
from featx.ours import FileKind, is_table
from featx.outputs import claimed
from featx.runs import Run

COLUMNS = ("path", "reason", "prediction", "probability")
LIST = FileKind("a list of images to label", is_table(COLUMNS))
LABELS = (".jsonl", ".csv", ".tsv", ".parquet", ".json", ".xml")


@keywords(NextConfig, ExtractConfig)
def next_images(
    source: Model | Run | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    **options: Any,
) -> list[LabelSuggestion]:
    """Choose the images of a folder whose labels would help most.

    Parameters
    ----------
    source : Model, Run or path
        What is known: a model, a run, or a file of labels of some of the images (of `featx label`,
        a manifest, ``corrections.csv``, an export of Label Studio or CVAT).
    folder : path
        Images, in subfolders or not; or a manifest file.
    **options

    Returns
    -------
    list of LabelSuggestion
        ``id``, ``path``, ``reason``, ``y_pred`` and ``proba``. Reasons are ``doubt`` (the model
        hesitates between two classes), ``rare`` (likely a rare class), ``spread`` (unlike anything
        labelled) and ``random``.

    Raises
    ------
    UsageError
        An option is invalid, or the output exists.
    DatasetError, ModelError, BackboneError, StoreError
        See `featx.extract` and `featx.score`; also a file of labels that cannot be read, or that
        names no image of the folder.

    Examples
    --------
    >>> for image in featx.next_images("runs/first", "new/", n=20):   # doctest: +SKIP
    ...     print(image.id, image.reason)
    """
    config, extract = read_options(next_images, **options)
    return choose_next(source, os.fspath(folder), config, extract)


def choose_next(
    source: Model | Run | str | os.PathLike[str],
    folder: str,
    config: NextConfig,
    extract: ExtractConfig,
) -> list[LabelSuggestion]:
    """`next_images` from checked sections."""
    data = DatasetConfig(dataset=folder)
    outputs = table_output(config.output, LIST, config.overwrite)
    with claimed(outputs, used_by(data, extract)) as claims:
        if isinstance(source, Model | Run) or not _names_labels(source):
            found = _by_model(source, data, config, extract)
        else:
            found = _by_labels(source, folder, config, extract)
        if config.output is not None:
            claims.spare("the images", [each.path for each in found])
            rows = ([e.id, e.reason, e.y_pred, e.proba.get(e.y_pred or "")] for e in found)
            place = write_claimed(claims, config.output, COLUMNS, rows, what="the list")
            console.log(f"{console.counted(len(found), 'row')} written to {printable(place)}")
    return found


def _names_labels(source: str | os.PathLike[str]) -> bool:
    return Path(source).suffix.lower() in LABELS and not Path(source).is_dir()


def _by_model(
    source: Model | Run | str | os.PathLike[str],
    data: DatasetConfig,
    config: NextConfig,
    extract: ExtractConfig,
) -> list[LabelSuggestion]:
    given = source.folder if isinstance(source, Run) else source
    model = given if isinstance(given, Model) else load_model(given)
    extractions = extract_with_model(open_data(data, labelled=False), model, extract)
    extractions[0].require_any()
    return propose(
        model, extractions, n=config.n, random_share=config.random_share, seed=config.seed
    )


def _by_labels(
    source: str | os.PathLike[str], folder: str, config: NextConfig, extract: ExtractConfig
) -> list[LabelSuggestion]:
    """By a head of the labels; the file is read and left as it is."""
    log = is_log(source)
    session = LabellingSession.open(
        folder,
        log=LabelLog(source) if log else LabelLog(),
        extract=extract,
        seed=config.seed,
        random_share=config.random_share,
    )
    read = read_labels(source, session.ids, session.paths)
    if not log:
        session.import_labels(source)
    if not read.labels:
        raise UsageError(
            f"'{printable(os.fspath(source))}' labels none of the images of '{printable(folder)}'.",
            hint="Images are found by path, by path below the folder, or by name. To start from "
            "no labels: featx label.",
        )
    if read.unknown:
        console.warn(
            f"{console.counted(len(read.unknown), 'name')} in "
            f"'{printable(os.fspath(source))}' are no image of '{printable(folder)}', the first "
            f"'{printable(read.unknown[0])}'."
        )
    return session.next_batch(config.n, fill=True)

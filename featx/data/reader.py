"""What the user named — a folder, a manifest file, one image — to a manifest."""

# ruff: noqa: PTH100, PTH110, PTH112, PTH113, PTH122
# os.path answers False where pathlib raises (no permission on a parent).

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from featx import console
from featx.config import DatasetConfig
from featx.data.array_files import ARRAY_SUFFIXES
from featx.data.curation import curate
from featx.data.folder import read_folder
from featx.data.imagetypes import FORMATS, is_image_name
from featx.data.kept_columns import Keep, keep_columns
from featx.data.manifest import Manifest, Row
from featx.data.manifest_file import read_manifest_file
from featx.data.passed import passed_over
from featx.data.table import is_manifest_name
from featx.errors import DatasetError, UsageError
from featx.files import printable
from featx.types import IN_MEMORY

_MANIFEST_ONLY = ("root", "path_column", "label_column", "group_column", "split_column")


@console.stage("Reading the data set")
def read_manifest(
    config: DatasetConfig | str,
    *,
    labelled: bool | None = None,
    grouped: bool = False,
    keep: Keep | Sequence[str] = (),
) -> Manifest:
    """List the images of a data set and what is known of each; no image is opened.

    Parameters
    ----------
    config : DatasetConfig or str
        A folder, a CSV, TSV, JSONL or Parquet manifest, or one image file.
    labelled : bool, optional
        None takes labels where there are any. True requires one for every row. False ignores
        labels, groups and splits, as scoring does.
    grouped : bool, default False
        Read groups even where ``labelled`` is False.
    keep : Keep, or sequence of str
        Other columns that rows are to have; see `featx.data.kept_columns.keep_columns`.

    Returns
    -------
    Manifest
        Rows sorted by the bytes of their ids for a folder, in file order for a manifest file.

    Raises
    ------
    UsageError
        Nothing has that name, or a manifest's options are given for a folder.
    DatasetError
        There are no images, a required label is missing, or the data set contradicts itself.
    MissingExtraError
        A Parquet manifest without pyarrow.
    """
    if isinstance(config, str):
        config = DatasetConfig(dataset=config)
    grouped = grouped or labelled is not False
    manifest = _read(config, labelled=labelled is not False, grouped=grouped, keep=keep)
    if not manifest.rows:
        raise _no_images(manifest, os.path.isfile(config.dataset))
    manifest = curate(manifest, config, labelled=labelled is not False, grouped=grouped)
    if labelled and not manifest.labelled:
        raise _unlabelled(manifest)
    return keep_columns(manifest, keep)


def _read(
    config: DatasetConfig, *, labelled: bool, grouped: bool, keep: Keep | Sequence[str]
) -> Manifest:
    """Choose the reader by what is there."""
    source = config.dataset
    shown = printable(source)
    if source == IN_MEMORY:
        raise UsageError(
            "This run was fitted on arrays in memory, which it does not store.",
            hint="Write them to a file and name it: --set data.dataset=ARRAYS.npz, or for featx "
            "report --dataset ARRAYS.npz.",
        )
    if not os.path.exists(source):
        raise UsageError(
            f"There is no data set at '{shown}'.", hint="Name a folder of images or a manifest."
        )
    if config.columns or os.path.splitext(source)[1].lower() in ARRAY_SUFFIXES:
        problem = f"'{shown}' holds arrays, but this command reads images."
        if os.path.isdir(source):
            problem = f"--columns applies to a file of arrays, but '{shown}' is a folder."
        raise UsageError(problem, hint="featx fit and featx score accept files of arrays.")
    if os.path.isfile(source) and is_manifest_name(source):
        return read_manifest_file(config, labelled=labelled, grouped=grouped, keep=keep)
    given = [name for name in _MANIFEST_ONLY if getattr(config, name) is not None]
    if given:
        flag = given[0].replace("_", "-")
        raise UsageError(f"--{flag} applies to a manifest file, and '{shown}' is not one.")
    if os.path.isdir(source):
        return read_folder(source, labelled=labelled)
    if is_image_name(source):
        path = os.path.abspath(source)
        root, name = os.path.split(path)
        return Manifest(root=root, source=source, rows=(Row(id=name, path=path),))
    raise DatasetError(
        f"'{shown}' is neither a folder, nor a manifest (.csv, .tsv, .jsonl, .parquet), nor an "
        "image.",
        hint=_other_tables(source),
    )


def _other_tables(source: str) -> str | None:
    """What to do with a table of a format that is not read."""
    ending = os.path.splitext(source)[1].lower()
    if ending in {".xlsx", ".xls", ".ods", ".numbers"}:
        return "Save the sheet as CSV."
    if ending == ".json":
        return "Write one JSON object a line, as .jsonl."
    if ending in {".txt", ".lst", ".dat", ".gz", ".zip"}:
        return "Save a table of paths as .csv, with the column names in its first line."
    return None


def _no_images(manifest: Manifest, is_file: bool) -> DatasetError:
    shown = printable(manifest.source)
    if is_file:
        return DatasetError(f"Manifest '{shown}' has column names but no rows.")
    passed = passed_over(manifest)
    extensions = " ".join(extension for group in FORMATS.values() for extension in group)
    needs = {passed.kind.needs for passed in manifest.passed} - {""}
    install = f"pip install '{min(needs)}'\n" if needs else ""
    return DatasetError(
        f"No images in '{shown}'" + (f" ({passed})." if passed else "."),
        hint=f"{install}Files of a folder count as images by extension: {extensions}",
    )


def _unlabelled(manifest: Manifest) -> DatasetError:
    without = replace(manifest, rows=tuple(r for r in manifest.rows if r.label is None))
    shown = ", ".join(f"'{printable(id)}'" for id in without.head(3).ids)
    return DatasetError(
        f"{len(without)} of {len(manifest)} images in '{printable(manifest.source)}' have no "
        f"label, for instance {shown}.",
        hint="Put each image into a folder named after its class, or give a manifest with columns "
        "path and label. Images without labels can be scored: featx score MODEL FOLDER",
    )

"""``extractor.json``: the readable specification that an extractor's fingerprint hashes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from featx.errors import StoreError
from featx.files import (
    OddFileError,
    fsync_directory,
    make_directory,
    read_bounded,
    write_atomic,
)
from featx.store.faults import corrupt, storage_errors
from featx.store.index import MAX_FEATURES, PLAIN_VERSION, SHARDS_NAME, load_json
from featx.types import ExtractorSpec

EXTRACTOR_NAME = "extractor.json"
_MAX_BYTES = 4 * 2**20


def check_spec(spec: ExtractorSpec) -> None:
    """Refuse a specification that no store can be made for."""
    width = spec.document.get("n_features")
    if type(width) is not int or not 1 <= width <= MAX_FEATURES:
        raise StoreError(
            f"n_features of {spec.document.get('backbone')!r} is {width!r}; "
            f"it must be an int in 1..{MAX_FEATURES}."
        )


def read_extractor(folder: Path) -> ExtractorSpec | None:
    """The specification in ``folder``, checked against its fingerprint and the folder's name.

    Returns
    -------
    ExtractorSpec or None
        None where there is no ``extractor.json``.

    Raises
    ------
    CorruptStoreError
        The file is damaged or describes another extractor than the folder is named after.
    StoreError
        It cannot be read, or a newer featx wrote it.
    """
    path = folder / EXTRACTOR_NAME
    with storage_errors("read", path):
        try:
            data = read_bounded(path, _MAX_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OddFileError as error:
            raise corrupt(path, folder, str(error.strerror)) from None
    document = load_json(data, path, folder, "featx-extractor", PLAIN_VERSION)
    if set(document) != {"format", "format_version", "fingerprint", "extractor"}:
        raise corrupt(path, folder, f"its keys are {sorted(document)}")
    spec = ExtractorSpec(document["extractor"])
    _check_document(spec.document, path, folder)
    if spec.fingerprint != document["fingerprint"]:
        raise corrupt(path, folder, "its content does not match its fingerprint")
    if spec.folder != folder.name:
        raise corrupt(path, folder, f"it describes {spec.folder!r}")
    return spec


def create_folder(folder: Path, spec: ExtractorSpec) -> None:
    """Make the extractor's folder and specification durable; what is there already stays."""
    with storage_errors("create", folder):
        make_directory(folder / SHARDS_NAME)
        if not (folder / EXTRACTOR_NAME).exists():
            document = {
                "format": "featx-extractor",
                "format_version": PLAIN_VERSION,
                "fingerprint": spec.fingerprint,
                "extractor": dict(spec.document),
            }
            text = json.dumps(document, indent=1, sort_keys=True, allow_nan=False)
            write_atomic(folder / EXTRACTOR_NAME, text.encode() + b"\n")
        # Whoever created these may have died before syncing the folders they stand in.
        fsync_directory(folder)
        fsync_directory(folder.parent)
        with contextlib.suppress(PermissionError):  # the cache may stand where we may not look
            fsync_directory(folder.parent.parent)


def _check_document(document: Any, path: Path, folder: Path) -> None:
    if type(document) is not dict or type(document.get("backbone")) is not str:
        raise corrupt(path, folder, "it names no backbone")
    width = document.get("n_features")
    if type(width) is not int or not 1 <= width <= MAX_FEATURES:
        raise corrupt(path, folder, f"n_features is {width!r:.80}")

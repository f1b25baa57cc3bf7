"""A model as a folder: written whole or not at all, read without trusting what is in it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from featx.errors import ModelError
from featx.files import write_atomic
from featx.ours import FolderKind, read_json
from featx.outputs import Output, claimed
from featx.replacing import built_folder

#: Names of the files in a model folder, by any version.
MODEL_FILES = re.compile(
    r"(model\.json|README\.md|(head|(voice|member)-\d+-\d+)\.(skops|safetensors|json)"
    r"|(novelty|drift|operating|seen|backbone-\d+)\.safetensors)"
)


def _is_model(folder: Path) -> bool:
    return read_json(folder / "model.json").get("format") == "featx-model"


def _knows(folder: Path) -> Callable[[str], bool]:
    declared = read_json(folder / "model.json").get("files")
    names = frozenset(declared if isinstance(declared, dict) else ())
    return lambda name: name in names or MODEL_FILES.fullmatch(name) is not None


MODEL = FolderKind("a model", _is_model, _knows, room_bytes=1 << 18)


class FolderReader:
    """Bounded reads of the files in a model folder.

    Links are followed: caches of downloaded models consist of them, and nothing is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str, limit: int) -> bytes:
        """Return the file's bytes.

        Raises
        ------
        ModelError
            It is missing, is not a plain file, or is larger than ``limit`` bytes.
        """
        path = self.folder / name
        try:
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # never hang: FIFO
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}.") from None
        with open(handle, "rb") as stream:  # noqa: PTH123 - it takes over the descriptor
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ModelError(f"{path} is not a plain file.")
            # a read allocates what it is asked for, so never ask for the limit itself
            data = stream.read(min(status.st_size, limit) + 1)
        if len(data) > limit:
            raise ModelError(f"{path} is larger than the limit ({limit} bytes).")
        return data


def write_folder(target: Path, files: Mapping[str, bytes], *, overwrite: bool) -> None:
    """Write ``files`` as the folder ``target``: a crash leaves the old folder, or none, never half.

    Raises
    ------
    UsageError
        ``target`` exists and ``overwrite`` is False, it is something else than a model or holds
        more than one, or another command is writing it.
    OSError
        The disk is full or the folder cannot be written; an old folder is untouched.
    """
    with (
        claimed([Output(target, "The model", MODEL, overwrite)]) as claims,
        built_folder(claims.place(target), MODEL) as building,
    ):
        for name, data in files.items():
            write_atomic(building / name, data)

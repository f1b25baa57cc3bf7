"""A model as one ``.featx`` file: a zip of the model folder, read in memory, never unpacked."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from featx.errors import ModelError
from featx.files import printable, write_atomic
from featx.ours import FileKind
from featx.outputs import Output, claimed

MAX_ENTRIES = 256  # an ensemble has a file for each of its heads
MAX_EXPANSION = 50  # arrays of floats barely compress; a bomb expands a thousandfold


class ArchiveReader:
    """Bounded reads of the entries of a ``.featx`` file.

    Raises
    ------
    ModelError
        Not a zip; or an entry is a link, a folder, encrypted, twice there, leads out of the
        archive, or the archive expands more than ``MAX_EXPANSION``-fold.
    """

    def __init__(self, path: Path, *, limit: int) -> None:
        self.path = path
        try:
            size = path.stat().st_size
            if size > limit:
                raise ModelError(f"{path} is larger than the limit for a model ({limit} bytes).")
            self._zip = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}.") from None
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            # all three are what zipfile raises of hostile bytes, by the field that is wrong
            raise ModelError(f"{path} is not a .featx file (a zip): {error}.") from None
        infos = self._zip.infolist()
        if len(infos) > MAX_ENTRIES:
            raise ModelError(f"{path} has {len(infos)} entries; at most {MAX_ENTRIES} are allowed.")
        for info in infos:
            self._check_entry(info)
        names = [info.filename for info in infos]
        if len(set(names)) < len(names):
            raise ModelError(f"{path} has two entries of the same name.")
        expanded = sum(info.file_size for info in infos)
        if expanded > min(limit, MAX_EXPANSION * size):
            raise ModelError(
                f"{path} is {size} bytes and would expand to {expanded}, too much for a model."
            )

    def _check_entry(self, info: zipfile.ZipInfo) -> None:
        name, shown = info.filename, printable(info.orig_filename)
        if "\\" in info.orig_filename or "\0" in info.orig_filename or ":" in name:
            fault = "has a name that is not portable"
        elif name.startswith("/") or ".." in PurePosixPath(name).parts:
            fault = "leads out of the archive"
        elif stat.S_ISLNK(info.external_attr >> 16):
            fault = "is a symbolic link"
        elif info.is_dir() or "/" in name:
            fault = "is not at the top level"
        elif info.flag_bits & 0x1:
            fault = "is encrypted"
        elif info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            fault = "uses a compression other than deflate"
        else:
            return
        raise ModelError(f"{self.path}: the entry {shown!r} {fault}.")

    def names(self) -> list[str]:
        """Names of the entries."""
        return self._zip.namelist()

    def read(self, name: str, limit: int) -> bytes:
        """Return the entry's bytes.

        Raises
        ------
        ModelError
            It is missing, damaged, or larger than ``limit`` bytes.
        """
        try:
            with self._zip.open(name) as stream:
                data = stream.read(limit + 1)
                whole = len(data) <= limit and not stream.read(1)
        except KeyError:
            raise ModelError(f"{self.path} has no {name}: it is not a model.") from None
        except Exception as error:  # zlib.error, EOFError, BadZipFile, struct.error: all one thing
            raise ModelError(f"{self.path}: {name} is damaged: {error}.") from None
        if not whole:
            raise ModelError(f"{self.path}: {name} is larger than the limit ({limit} bytes).")
        return data


def write_archive(target: Path, files: Mapping[str, bytes], *, overwrite: bool) -> None:
    """Write ``files`` as the ``.featx`` file ``target``, whole or not at all.

    Raises
    ------
    UsageError
        ``target`` exists and ``overwrite`` is False, it is not a model, or another command is
        writing it.
    OSError
        The disk is full or the folder cannot be written; an old file is untouched.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():  # a fixed date: equal models give equal entries
            archive.writestr(zipfile.ZipInfo(name), data)
    with claimed([Output(target, "The model", ARCHIVE, overwrite)]) as claims:
        write_atomic(claims.place(target), buffer.getbuffer())


def _is_archive(path: Path) -> bool:
    """Whether a file is a zip with the document of a model in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "model.json" in archive.namelist()
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return False


ARCHIVE = FileKind("a model", _is_archive)

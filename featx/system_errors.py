"""What the system refuses, in sentences: which file, why, what is kept, and what to do."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featx.files import TEMPORARY_PATTERN, printable

_SPACE = "Free some space"
_PLACE = "Choose a writable place, or correct its permissions"
_DRIVE = "Check that the drive is connected and healthy"
_PATH = "Correct the path"

#: Why, and what to do before the same command is run again.
_SENTENCES: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("no space is left on the disk", _SPACE),
    errno.EDQUOT: ("the disk quota is used up", _SPACE),
    errno.EFBIG: ("the file is too large for the file system", "Choose another disk"),
    errno.EROFS: ("the file system is read-only", _PLACE),
    errno.EACCES: ("permission is denied", _PLACE),
    errno.EPERM: ("the system does not permit it", _PLACE),
    errno.ENAMETOOLONG: ("its name is too long for the file system", "Choose a shorter name"),
    errno.EMFILE: (
        "too many files are open",
        "Allow more with `ulimit -n 4096`, or give fewer --workers",
    ),
    errno.ENFILE: ("too many files are open on this machine", "Close other programs"),
    errno.EIO: ("the disk reports an error", _DRIVE),
    errno.ENODEV: ("its drive is gone", _DRIVE),
    errno.ENXIO: ("its drive is gone", _DRIVE),
    errno.ESTALE: ("the network drive no longer knows it", _DRIVE),
    errno.ETIMEDOUT: ("the network drive does not answer", _DRIVE),
    errno.EBUSY: ("it is in use", "Close what uses it"),
    errno.ETXTBSY: ("it is a program that is running", "Close what uses it"),
    errno.ENOTDIR: ("a part of its path is a file, not a folder", _PATH),
    errno.EISDIR: ("it is a folder, not a file", _PATH),
    errno.ENOENT: ("it does not exist, or no longer", _PATH),
    errno.ELOOP: ("its links form a loop", _PATH),
    errno.EEXIST: ("something of its name is there", "Choose another name"),
    errno.ENOTEMPTY: ("something of its name is there", "Choose another name"),
    errno.ENOTSUP: ("its file system cannot do that", "Choose a place on another disk"),
    errno.EOPNOTSUPP: ("its file system cannot do that", "Choose a place on another disk"),
    errno.EINVAL: ("the system refuses its name or its file system", "Choose another place"),
}
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # of the target, whatever they name
KEPT = "Files already written are kept."
_NOTE = "featx_writing"


@contextmanager
def writing(what: str, path: str | os.PathLike[str], *, kept: str = KEPT) -> Iterator[None]:
    """Note on an `OSError` of the block what was being written; `explain` makes a sentence of it.

    Parameters
    ----------
    what : str
        Such as ``"the run"``.
    path : path
        As a person knows it: not a temporary name.
    kept : str, optional
        A sentence on what is not lost.
    """
    try:
        yield
    except OSError as error:
        setattr(error, _NOTE, (what, os.fspath(path), kept))
        raise


def reason(error: OSError) -> str:
    """Why, in a few words."""
    why, _ = _SENTENCES.get(error.errno or 0, ("", ""))
    return why or error.strerror or str(error)


def in_words(error: Exception) -> str:
    """An error that costs only a part of the work, in one phrase."""
    if isinstance(error, OSError) and error.errno in _SENTENCES:
        return reason(error)
    return f"{type(error).__name__}: {error}"


def explain(error: OSError) -> str | None:
    """What could not be read or written, why, what is kept and what to do.

    None where nothing is known of it but its text.
    """
    if error.errno not in _SENTENCES:
        return None
    why, advice = _SENTENCES[error.errno]
    what, path, kept = getattr(error, _NOTE, ("", "", KEPT))
    at = _shown(error.filename)
    if what:
        subject = f"{what[0].upper()}{what[1:]} {_quoted(path)} cannot be written"
        elsewhere = at and error.errno not in _OF_THE_DISK and not _inside(at, path)
        sentence = f"{subject}: {why}" + (f" ({_quoted(at)})." if elsewhere else ".")
    else:
        subject = _quoted(at) if at else "A file"
        sentence = f"{subject} cannot be read or written: {why}."
    return f"{sentence}\n{kept} {advice}, then run the same command again."


def _shown(filename: object) -> str:
    """The name of a file that an error is of; a temporary file's is that of its target."""
    if isinstance(filename, bytes):
        filename = os.fsdecode(filename)
    if not isinstance(filename, str):  # none, or a descriptor
        return ""
    path = Path(filename)
    if re.fullmatch(TEMPORARY_PATTERN, path.name):
        path = path.with_name(path.name[1:].rsplit(".", 3)[0])
    return str(path)


def _inside(path: str, target: str) -> bool:
    """Whether it is a part of what was being written, under its own or a temporary name."""
    whole, part = Path(target).absolute(), Path(path).absolute()
    if part.is_relative_to(whole):
        return True
    beside = part.relative_to(whole.parent).parts if part.is_relative_to(whole.parent) else ()
    return bool(beside) and beside[0].startswith(f".{whole.name}.")


def _quoted(path: str) -> str:
    return f"'{printable(path)}'"

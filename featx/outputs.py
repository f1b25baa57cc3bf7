"""What a command is going to write, claimed before it reads the first image.

A command claims its outputs at its start and holds them to its end. A claim refuses, with nothing
touched, what exists and may not be replaced, what is something that the command reads, what cannot
be written, and what another command is writing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from featx import console
from featx.errors import UsageError
from featx.files import make_directory, printable
from featx.locks import HeldError, Lock, wait_for_lock
from featx.ours import CLAIM_ENDING, FileKind, FolderKind, is_empty, is_mount
from featx.places import Location, identity, path_beside, real_paths
from featx.replacing import claim_file, free_name, put_back, tidy, tidy_beside
from featx.shell import shell_line

_PATIENCE_S = 0.3  # another command may look at a claim file for an instant, to tidy up


@dataclass(frozen=True)
class Output:
    """One file or folder that a command will write.

    Parameters
    ----------
    path : path
        As the user gave it.
    flag : str
        What names it, such as ``"--report"``: for sentences.
    kind : FileKind or FolderKind
        What may be replaced.
    overwrite : bool
        Whether it may be replaced at all.
    inside : path, optional
        What the flag names, where that is the folder that the output is written into.
    """

    path: str | os.PathLike[str]
    flag: str
    kind: FileKind | FolderKind
    overwrite: bool = False
    inside: str | os.PathLike[str] | None = None

    @property
    def shown(self) -> str:
        """The path for sentences."""
        return f"'{printable(os.fspath(self.path))}'"

    @property
    def target(self) -> Path:
        """Absolute; a link that is its last part is not followed."""
        path = Path(self.path).absolute()
        return path.resolve() if path.name in {"", ".", ".."} else path

    @property
    def in_place(self) -> bool:
        """Whether it is a folder whose files are replaced one by one."""
        return isinstance(self.kind, FolderKind) and self.kind.in_place


@dataclass(frozen=True)
class Used:
    """Something that a command reads: no output may be it, hold it, or lie inside it.

    Parameters
    ----------
    what : str
        For sentences, such as ``"the images"``.
    path : path
        A file or a folder; links in it are followed. It need not exist.
    also : str
        Further flags that a hint on another place for an output has to name.
    around : bool
        Whether outputs may lie inside it all the same.
    """

    what: str
    path: str | os.PathLike[str]
    also: str = ""
    around: bool = False


class Claims:
    """Outputs that are claimed; `claimed` makes them."""

    def __init__(self) -> None:
        self._outputs: dict[str, Output] = {}
        self._made: list[Path] = []
        self._locks: list[Lock] = []

    def add(self, output: Output, used: Iterable[Used] = ()) -> None:
        """Claim one output more; see `claimed`."""
        target = output.target
        check_clear(output, used)
        for other in self._outputs.values():
            if not output.in_place and not other.in_place:
                check_clear(output, [Used(f"what {other.flag} writes", other.path)])
        with _refusing(output):
            identity(target)  # raises where the name is too long, or may not be looked at
            self._make(target.parent)
            if output.in_place:
                _check_there(output)
                self._make(target)
            self._lock(output)
            _check_there(output)
        _check_room(output)
        self._outputs[os.fspath(output.path)] = output

    def place(self, path: str | os.PathLike[str]) -> Path:
        """Where a claimed output is to be written now.

        Its own place; or, should something have come to be there since it was claimed, a free name
        beside it, with a warning: what a command has computed is never thrown away.
        """
        output = self._outputs[os.fspath(path)]
        target = output.target
        if not os.path.lexists(target) or output.in_place:
            return Path(path)
        may = output.overwrite or (target.is_dir() and is_empty(target))
        if may and output.kind.fault(target) is None:
            return Path(path)
        found = free_name(Path(path))
        console.warn(
            f"{output.shown} was written by another program meanwhile and is left unchanged; the "
            f"result is in {printable(os.fspath(found))}"
        )
        return found

    def spare(self, what: str, paths: Iterable[str]) -> None:
        """Refuse a claimed output that holds or is one of many files, such as the images."""
        existing = [o for o in self._outputs.values() if os.path.lexists(o.target)]
        if not existing:
            return
        real = real_paths(paths)
        folders = {Path(path).parent for path in real}
        above = {os.fspath(up) for folder in folders for up in (folder, *folder.parents)}
        for output in existing:
            place = os.path.realpath(output.target)
            if place in above and not output.in_place:
                raise UsageError(
                    f"{output.flag} {output.shown} holds some of {what}; it is not replaced.",
                    hint="Choose another place.",
                )
            if place in real:
                raise _clash(output, "is one of", Used(what, real[place]))

    def release(self) -> None:
        """Give everything back, and remove folders that were made and in which nothing is."""
        for lock in reversed(self._locks):
            lock.release(remove=True)
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        missing = [p for p in (folder, *folder.parents) if not p.exists()]
        make_directory(folder)
        self._made += reversed(missing)

    def _lock(self, output: Output) -> None:
        """Lock the output's name, which shows that its folder can be written, and tidy up."""
        target, kind = output.target, output.kind
        path = target / CLAIM_ENDING if output.in_place else claim_file(target)
        try:
            lock = wait_for_lock(path, _PATIENCE_S)
        except HeldError as held:
            raise UsageError(
                f"Another featx command is writing {output.shown} ({held}).",
                hint="Wait for it, or choose another name. If it is no longer running, "
                f"remove {printable(os.fspath(path))}.",
            ) from None
        self._locks.append(lock)
        if not output.in_place:
            tidy(target, lock, kind if isinstance(kind, FolderKind) else None)
            tidy_beside(target)


@contextlib.contextmanager
def claimed(outputs: Sequence[Output], used: Iterable[Used] = ()) -> Iterator[Claims]:
    """Claim outputs for the length of a block.

    Missing parent folders are made, and removed again where nothing was put into them. Folders
    that a killed command left half replaced are put back, and what it left half built is removed.

    Parameters
    ----------
    outputs : sequence of Output
    used : iterable of Used
        What the command reads.

    Raises
    ------
    UsageError
        An output exists without ``overwrite``, is not what featx writes, is, holds or lies inside
        something that is used or another output, cannot be written, has no room on its disk, or
        is being written by another command. Nothing has been touched.
    """
    used = list(used)
    claims = Claims()
    try:
        for output in outputs:
            claims.add(output, used)
        yield claims
    finally:
        claims.release()


def _check_there(output: Output) -> None:
    """Refuse what is there already and may not be replaced."""
    target, kind = output.target, output.kind
    put_back(target)
    if not os.path.lexists(target):
        return
    if isinstance(kind, FolderKind) and target.is_dir() and not target.is_symlink():
        if not kind.in_place and is_mount(target):
            raise UsageError(
                f"The output {output.shown} is a mount point, which cannot be replaced.",
                hint="Name a folder inside it.",
            )
        if is_empty(target):
            return
    elif isinstance(kind, FileKind) and target.is_dir():
        raise UsageError(f"The output {output.shown} is a folder.")
    fault = kind.fault(target)
    exists = f"The output {output.shown} exists already"
    if not output.overwrite:
        hint = "Choose another name, or --overwrite."
        if fault is not None:
            hint = f"Choose another name: it {fault}, so it is never replaced."
        raise UsageError(f"{exists}.", hint=hint)
    if fault is not None:
        raise UsageError(
            f"{exists} and {fault}; it is not replaced.",
            hint="Choose another name, or remove it yourself.",
        )


def _check_room(output: Output) -> None:
    """Refuse a disk that is full already."""
    with contextlib.suppress(OSError):
        disk = shutil.disk_usage(output.target.parent)
        if disk.total and disk.free < output.kind.room_bytes:
            raise UsageError(
                f"{output.flag} {output.shown} cannot be written: its disk has "
                f"{disk.free / 2**20:.1f} MiB left.",
                hint=f"Free some space. {_elsewhere(output)}",
            )


def check_writable(output: Output) -> None:
    """Refuse a folder that files are to be added to, where none can be.

    Raises
    ------
    UsageError
        It, or the nearest folder above it that exists, takes no file.
    """
    folder = output.target
    with _refusing(output):
        while identity(folder) is None:
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            pass


def check_clear(output: Output, used: Iterable[Used]) -> None:
    """Refuse an output that is, holds or lies inside something that the command reads.

    Places are compared by their real paths, and files and folders that exist by what they are on
    the disk, so that links and the case of letters hide nothing.

    Raises
    ------
    UsageError
        It does; the message names both.
    """
    location = Location(output.target)
    for one in used:
        there = Path(os.path.realpath(one.path))
        how = location.touches(there)
        # Of a folder whose files are replaced one by one, a folder in it is no concern.
        is_file = os.path.isfile(there)  # noqa: PTH113 - it never raises
        if how == "holds" and output.in_place and not (is_file and there.parent == location.path):
            continue
        if how == "lies inside" and one.around:
            continue
        if how is not None:
            raise _clash(output, how, one)


def _clash(output: Output, how: str, used: Used) -> UsageError:
    place = printable(os.fspath(used.path))
    hint = "No command overwrites its input. Choose another place"
    if how == "lies inside" and output.flag.startswith("-"):
        name = Path(output.path if output.inside is None else output.inside).name
        beside = path_beside(used.path, name or "results")
        hint += f", for instance {shell_line(output.flag, beside)}{used.also and f' {used.also}'}"
    return UsageError(
        f"{output.flag} {output.shown} {how} {used.what} ('{place}').",
        hint=hint,
    )


@contextlib.contextmanager
def _refusing(output: Output) -> Iterator[None]:
    """An OSError of the block in one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        files = [p for p in output.target.parents if os.path.isfile(p)]  # noqa: PTH113 - never raises
        if files:
            reason = f"{printable(os.fspath(files[0]))!r} is a file"
        raise UsageError(
            f"{output.flag} {output.shown} cannot be written: {reason}.", hint=_elsewhere(output)
        ) from None


def _elsewhere(output: Output) -> str:
    return "Choose another place" + (
        f" with {output.flag}." if output.flag.startswith("-") else "."
    )

"""Folders that are whole or absent: built beside their place, then put there in one step.

Where the system can, an old folder and the new one are exchanged in one step. Elsewhere the old one
is moved aside for the moment between two renames; should the process be killed in it, the next
command that needs the folder puts it back.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from featx import console
from featx.files import cut_name, fsync_directory, hidden_name, make_directory, printable
from featx.locks import HeldError, Lock, take_lock
from featx.ours import CLAIM_ENDING, FolderKind, is_empty, remove_known

AT_FDCWD = -100  # linux/fcntl.h
RENAME_EXCHANGE = 2  # linux/fs.h
_WAIT_S = 2.0  # for a command that is between its two renames
_PID = re.compile(r"pid (\d+) on ")


@contextlib.contextmanager
def built_folder(target: Path, kind: FolderKind) -> Iterator[Path]:
    """Give a new folder beside ``target``; it becomes ``target`` when the block ends well.

    What is there must be of ``kind``, or empty: see `featx.outputs.claimed`. All of it is on the
    disk before anything is renamed, and the old folder is removed last.

    Raises
    ------
    OSError
        The disk is full or the folder cannot be written; what was there is as it was.
    """
    make_directory(target.parent)
    building = hidden_name(target, "tmp")
    building.mkdir()
    try:
        yield building
        _sync(building)
        old = _put(building, target)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)  # made above, under a name that nobody else has
        raise
    fsync_directory(target.parent)
    if old is not None:
        _clear(old, target, kind)


def _sync(folder: Path) -> None:
    """Make the names in a folder and in all below durable; files are synced by who writes them."""
    for below, _, _ in os.walk(folder, topdown=False):
        fsync_directory(below)


def _put(built: Path, target: Path) -> Path | None:
    """Give ``built`` the name ``target``; return where the old folder now is."""
    if not os.path.lexists(target):
        os.rename(built, target)  # noqa: PTH104 - the tests cut the power at this very call
        return None
    if exchange(built, target):
        return built
    aside = hidden_name(target, "old")
    os.rename(target, aside)  # noqa: PTH104
    try:
        os.rename(built, target)  # noqa: PTH104
    except BaseException:
        os.rename(aside, target)  # noqa: PTH104
        raise
    return aside


def exchange(a: Path, b: Path) -> bool:
    """Swap two names in one step; False where the system or file system cannot (not Linux, NFS)."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    names = AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b)
    return renameat2(*names, RENAME_EXCHANGE) == 0


def _clear(old: Path, target: Path, kind: FolderKind) -> None:
    """Remove a folder that was replaced; files of others in it are kept, with a warning."""
    with contextlib.suppress(OSError):
        if is_empty(old) or (kind.is_one(old) and next(kind.strangers(old), None) is None):
            rest = hidden_name(target, "tmp")  # half removed it must never be put back
            os.rename(old, rest)  # noqa: PTH104
            shutil.rmtree(rest, ignore_errors=True)  # all of it is known
            return
        remove_known(old, kind)
        kept = free_name(target.with_name(f"{target.name}.kept"))
        os.rename(old, kept)  # noqa: PTH104
        console.warn(
            f"files that featx did not write were in {printable(str(target))} when it was "
            f"replaced; they are kept in {printable(str(kept))}"
        )


def free_name(path: Path) -> Path:
    """``path``, or with the first free number before its ending where something is there."""
    found, number = path, 1
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{cut_name(path.stem, len(path.suffix) + 8)}-{number}{path.suffix}")
    return found


# --- after a kill -------------------------------------------------------------------------------


def claim_file(target: Path) -> Path:
    """The file that is locked by who writes ``target``."""
    return target.with_name(f".{cut_name(target.name, len(CLAIM_ENDING) + 8)}{CLAIM_ENDING}")


def recover(path: str | os.PathLike[str]) -> None:
    """Put back the folder ``path`` if a command was killed while it replaced it.

    For readers: where there is nothing to be put back, or no right to, nothing happens.
    """
    target = Path(path).absolute()
    if os.path.lexists(target) or not _left(target, "old"):
        return
    deadline = time.monotonic() + _WAIT_S
    while not os.path.lexists(target):
        try:
            lock = take_lock(claim_file(target))
        except HeldError:  # it is being replaced at this very moment
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)
            continue
        except OSError:
            return
        try:
            tidy(target, lock, None)
        finally:
            lock.release(remove=True)
        return


def put_back(target: Path) -> None:
    """Give the folder that was moved aside its name again, where it is missing."""
    asides = [path for path in _left(target, "old") if path.is_dir()]
    if os.path.lexists(target) or not asides:
        return
    newest = max(asides, key=lambda aside: aside.lstat().st_mtime_ns)
    with contextlib.suppress(OSError):
        os.rename(newest, target)  # noqa: PTH104
        fsync_directory(target.parent)
        console.warn(
            f"{printable(str(target))} was being replaced when that command was killed; featx "
            "has restored the old one"
        )


def tidy(target: Path, lock: Lock, kind: FolderKind | None) -> None:
    """Remove what a killed command left of ``target``, whose lock is now ours."""
    put_back(target)
    dead = _PID.match(lock.left)
    if dead is None:
        return
    for ending in ("tmp", "old"):
        for path in _left(target, ending, pid=dead[1]):
            with contextlib.suppress(OSError):
                if not stat.S_ISDIR(path.lstat().st_mode):
                    path.unlink()
                elif kind is not None and kind.is_one(path):
                    _clear(path, target, kind)  # a whole one that was replaced
                elif ending == "tmp":  # half built by a process that is no more
                    shutil.rmtree(path, ignore_errors=True)


def tidy_beside(target: Path) -> None:
    """Remove what killed commands left beside ``target`` of names that have never come to be."""
    with contextlib.suppress(OSError):
        names = [n for n in os.listdir(target.parent) if n.endswith(CLAIM_ENDING)]  # noqa: PTH208
        for name in names:
            other = target.with_name(name[1 : -len(CLAIM_ENDING)])
            if not name.startswith(".") or claim_file(other).name != name or other == target:
                continue
            with contextlib.suppress(OSError, HeldError):
                lock = take_lock(target.with_name(name))
                put_back(other)
                if not os.path.lexists(other):
                    tidy(other, lock, None)
                pid = _PID.match(lock.left)
                done = pid is None or not (_left(other, "tmp", pid[1]) + _left(other, "old"))
                if not done:
                    lock.sign(lock.left)  # for the next command of this name
                lock.release(remove=done)


def _left(target: Path, ending: str, pid: str = "") -> list[Path]:
    """Hidden names beside ``target`` as `featx.files.hidden_name` makes them, also of old."""
    number = re.escape(pid) + r"\." if pid else r"(\d+\.)?"
    tail = rf"\.{number}[0-9a-f]{{8}}\.{ending}"
    pattern = re.compile(r"\." + re.escape(target.name) + tail, re.DOTALL)
    cut = None
    if len(os.fsencode(target.name)) > 200:  # its hidden names may be shortened
        cut = re.compile(r"\.(.{100,})" + tail, re.DOTALL)
    try:
        names = os.listdir(target.parent)  # noqa: PTH208 - names only
    except OSError:
        return []
    found = [name for name in names if pattern.fullmatch(name)]
    if cut is not None:
        found += [
            n for n in names if (m := cut.fullmatch(n)) and target.name.startswith(m[1])
            and n not in found
        ]  # fmt: skip
    return [target.with_name(name) for name in found]

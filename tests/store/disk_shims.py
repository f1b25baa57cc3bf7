"""Disks that fail: each stands between the store and the system calls that change files."""

from __future__ import annotations

import contextlib
import copy
import errno
import hashlib
import itertools
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHANGES = ("open", "write", "pwrite", "ftruncate", "fsync", "replace", "unlink", "mkdir", "rmdir")
Hook = Callable[[str, tuple[Any, ...], Callable[[], Any]], Any]


@contextlib.contextmanager
def intercept(root: Path, hook: Hook) -> Iterator[None]:
    """Send every change below ``root`` through ``hook(name, arguments, call)``.

    Opening for reading is not a change. File descriptors arrive as the path they stand for.
    """
    real = {name: getattr(os, name) for name in (*CHANGES, "close")}
    paths: dict[int, str] = {}

    def ours(path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(str(root))

    def shim(name: str) -> Callable[..., Any]:
        def call(first: Any, *rest: Any, **named: Any) -> Any:
            def run() -> Any:
                return real[name](first, *rest, **named)

            if name == "open":
                if not ours(first):
                    return run()
                reads = not rest[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
                handle = run() if reads else hook(name, (os.fspath(first), *rest), run)
                paths[handle] = os.fspath(first)
                return handle
            if isinstance(first, int):
                return hook(name, (paths[first], *rest), run) if first in paths else run()
            return hook(name, (os.fspath(first), *rest), run) if ours(first) else run()

        return call

    def close(handle: int) -> None:
        paths.pop(handle, None)
        real["close"](handle)

    for name in CHANGES:
        setattr(os, name, shim(name))
    os.close = close
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)


class SimulatedKill(BaseException):
    """The process ends here; nothing it would still do happens."""


class KillAt:
    """Kills at the k-th change: before it, or in the middle of it when it is a write."""

    def __init__(self, k: int, *, torn: bool = False) -> None:
        self.k, self.torn = k, torn
        self.names: list[str] = []

    def __call__(self, name: str, arguments: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        self.names.append(name)
        if len(self.names) < self.k:
            return None if name == "fsync" else call()  # a kill leaves what the kernel has
        if len(self.names) == self.k and self.torn:
            path, data = arguments
            with Path(path).open("ab") as file:
                file.write(bytes(data)[: len(data) // 2])
        raise SimulatedKill


class FullDisk:
    """Has no space left from the k-th change that needs some, until ``freed``."""

    def __init__(self, k: int) -> None:
        self.k, self.count, self.hits, self.freed = k, 0, 0, False

    def __call__(self, name: str, arguments: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        if name == "fsync":
            return None
        needs_space = name in {"write", "pwrite", "mkdir"} or (
            name == "open" and not os.path.exists(arguments[0])  # noqa: PTH110
        )
        self.count += needs_space
        if needs_space and self.count >= self.k and not self.freed:
            self.hits += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), arguments[0])
        return call()


class ReadOnlyDisk:
    """Refuses every change."""

    def __call__(self, name: str, arguments: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), arguments[0])


# --- power loss ---------------------------------------------------------------------------------


@dataclass
class FileNode:
    """One file: what programs see, and what the platter is known to hold."""

    seen: bytes = b""
    durable: bytes = b""


@dataclass
class FolderNode:
    """One folder: names programs see, durable names, and changes of names in between."""

    seen: dict[str, Any] = field(default_factory=dict)
    durable: dict[str, Any] = field(default_factory=dict)
    pending: list[tuple[Any, ...]] = field(default_factory=list)

    def change(self, *operation: Any) -> None:
        """Change names; durable only after a sync."""
        apply(self.seen, operation)
        self.pending.append(operation)


def apply(names: dict[str, Any], operation: tuple[Any, ...]) -> None:
    """Do one change of names, as a replayed journal would."""
    kind, name, *rest = operation
    if kind == "link":
        names[name] = rest[0]
    elif kind == "unlink":
        names.pop(name, None)
    elif kind == "rename":
        target, node = rest
        if names.get(name) is node:
            del names[name]
        names[target] = node


Files = dict[str, bytes | None]  # relative path -> content, None for a folder


class PowerLossDisk:
    """Follows every change and knows what a power cut at any moment could leave.

    A write is certain only after ``fsync`` of the file, a name only after ``fsync`` of its
    folder. Until then each may be kept or dropped on its own, whatever their order, and unsynced
    content may also be garbled.

    Parameters
    ----------
    root : Path
        A folder that is there and durable.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.top = FolderNode()
        self.moments: list[tuple[FolderNode, Any]] = []
        self.mark: Any = None  # whatever the test wants to know of a moment

    def __call__(self, name: str, arguments: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        node, folder, base = self._find(arguments[0])
        result = None if name == "fsync" else call()
        if name == "open" and node is None:
            folder.change("link", base, FileNode())
        elif name == "write":
            node.seen += bytes(arguments[1])[:result]
        elif name == "pwrite":
            node.seen = bytes(arguments[1])
        elif name == "ftruncate":
            node.seen = node.seen[: arguments[1]]
        elif name == "fsync":
            sync(node)
        elif name == "replace":
            folder.change("rename", base, Path(arguments[1]).name, node)
        elif name in {"unlink", "rmdir"}:
            folder.change("unlink", base)
        elif name == "mkdir":
            folder.change("link", base, FolderNode())
        self.moments.append((copy.deepcopy(self.top), self.mark))
        return result

    def _find(self, path: str) -> tuple[Any, Any, str]:
        """Node at a path (None where there is none), its folder, its name there."""
        folder, node = self.top, self.top
        parts = Path(path).relative_to(self.root).parts
        for part in parts:
            folder, node = node, node.seen.get(part)
        return node, folder, parts[-1] if parts else ""

    def aftermaths(self, limit: int = 64) -> Iterator[tuple[Files, Any]]:
        """Every different state of the disk after a cut at any moment, with that moment's mark.

        Where a moment has more than ``limit`` combinations, that many are drawn, and always the
        ones where everything is kept, dropped or garbled.
        """
        met = set()
        for top, mark in self.moments:
            for files in combinations(top, limit):
                state = hashlib.sha256(repr((sorted(files.items()), mark)).encode()).digest()
                if state not in met:
                    met.add(state)
                    yield files, mark


def sync(node: FileNode | FolderNode) -> None:
    """Make a node durable."""
    if isinstance(node, FileNode):
        node.durable = node.seen
    else:
        for operation in node.pending:
            apply(node.durable, operation)
        node.pending = []


def combinations(top: FolderNode, limit: int) -> Iterator[Files]:
    """What one moment's unsynced changes could become."""
    folders, files = unsynced(top)
    choices = [2] * sum(len(folder.pending) for folder in folders) + [4] * len(files)
    total = 1
    for n in choices:
        total *= n
    if total <= limit:
        picks = itertools.product(*map(range, choices))
    else:
        rng = random.Random(total)
        drawn = [[rng.randrange(n) for n in choices] for _ in range(limit)]
        uniform = [[min(pick, n - 1) for n in choices] for pick in range(4)]
        picks = iter(uniform + drawn)
    for pick in picks:
        yield settle(top, folders, files, list(pick))


def unsynced(top: FolderNode) -> tuple[list[FolderNode], list[FileNode]]:
    """Folders with pending names, and files with pending content, that may be reached."""
    folders: list[FolderNode] = []
    files: list[FileNode] = []
    seen: set[int] = set()
    stack: list[Any] = [top]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, FolderNode):
            if node.pending:
                folders.append(node)
            stack += [*node.durable.values(), *node.seen.values()]
            stack += [operation[-1] for operation in node.pending if operation[0] != "unlink"]
        elif node.seen != node.durable:
            files.append(node)
    return folders, files


def settle(
    top: FolderNode, folders: list[FolderNode], files: list[FileNode], pick: list[int]
) -> Files:
    """The files after one choice of fates."""
    names: dict[int, dict[str, Any]] = {}
    for folder in folders:
        kept = dict(folder.durable)
        for operation in folder.pending:
            if pick.pop(0):
                apply(kept, operation)
        names[id(folder)] = kept
    fates = {id(file): fate(file, pick.pop(0)) for file in files}
    found: Files = {}

    def walk(folder: FolderNode, prefix: str) -> None:
        for name, node in names.get(id(folder), folder.durable).items():
            if isinstance(node, FolderNode):
                found[prefix + name] = None
                walk(node, f"{prefix}{name}/")
            else:
                found[prefix + name] = fates.get(id(node), node.durable)

    walk(top, "")
    return found


def fate(file: FileNode, choice: int) -> bytes:
    """Unsynced content dropped, kept, garbled, or cut short."""
    if choice == 0:
        return file.durable
    if choice == 1:
        return file.seen
    if choice == 2:
        return bytes(byte ^ 0xA5 for byte in file.seen)
    return file.seen[: len(file.seen) // 2]


def lay_out(files: Files, root: Path) -> None:
    """Write a state of the disk into a new folder."""
    root.mkdir()
    for relative, data in files.items():
        path = root / relative
        if data is None:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(data)

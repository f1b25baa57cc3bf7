"""Plug-ins found by name: files of a package of featx, and what installed packages add to it.

``heads/svm_rbf.py`` defines ``PLUGIN`` and is known as ``svm-rbf``. An installed package adds one
by an entry point in the group of the same name as the package of featx::

    [project.entry-points."featx.heads"]
    gaussian-nb = "acme.heads:GAUSSIAN_NB"

Nothing is registered anywhere else, and listing names imports none of them.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, MutableSequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from featx import console
from featx.errors import FeatxError, PluginError, UnknownNameError
from featx.files import printable

T = TypeVar("T")

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class PluginOrigin:
    """The installed package that a plug-in comes from.

    Parameters
    ----------
    package, version : str
        As ``pip list`` shows them.
    """

    package: str
    version: str

    def __str__(self) -> str:
        return f"{printable(self.package)} {printable(self.version)}"

    @property
    def requirement(self) -> str:
        """What ``pip install`` takes."""
        return f"'{printable(self.package)}=={printable(self.version)}'"


@dataclass(frozen=True)
class _Brought:
    """One entry point."""

    name: str
    origin: PluginOrigin
    entry: importlib.metadata.EntryPoint


class Registry:
    """The plug-ins of one kind.

    Parameters
    ----------
    package : str
        Dotted name of the package of featx, for instance ``"featx.heads"``.
    path : list of str
        The package's ``__path__``; a folder that is added to it later is looked into too.
    kind : str
        What one plug-in is called in messages, for instance ``"head"``.
    fault : callable, optional
        ``fault(name, plugin)`` says what is wrong with a plug-in of an installed package, None
        where nothing is. Default None: installed packages add none of this kind.
    """

    def __init__(
        self,
        package: str,
        path: str | MutableSequence[str],
        kind: str,
        *,
        fault: Callable[[str, Any], str | None] | None = None,
    ) -> None:
        self.package = package
        self.path = [path] if isinstance(path, str) else path
        self.kind = kind
        self.fault = fault

    def names(self) -> list[str]:
        """Names of all plug-ins, sorted, without importing them."""
        return sorted({*self._own(), *(found.name for found in self._brought())})

    def get(self, name: str) -> Any:
        """Import one plug-in and return its ``PLUGIN``.

        Raises
        ------
        UnknownNameError
            No plug-in has this name; the message lists the choices and the nearest match.
        PluginError
            An installed package brings it, and it cannot be imported, is not what such a plug-in
            has to be, or has a name that featx or another package uses.
        """
        # a module that was imported needs no look into the folder: searches ask often
        own = self._module(name) in sys.modules if _NAME.fullmatch(name) else False
        own, brought = own or name in self._own(), [b for b in self._brought() if b.name == name]
        if len(brought) + own > 1:
            raise self._clash(name, own, brought)
        if brought:
            return self._load(brought[0])
        if not own:
            raise UnknownNameError(self.kind, name, self.names())
        return importlib.import_module(self._module(name)).PLUGIN

    def working(self) -> Iterator[tuple[str, Any]]:
        """Every plug-in that can be used, with its name; a warning names each of the others."""
        for name in self.names():
            try:
                yield name, self.get(name)
            except PluginError as error:
                _warn_once(error.message)

    def ask(self, name: str, question: Callable[[], T]) -> T | None:
        """What a plug-in answers; None, with a warning that names its package, where it raises.

        Whatever featx's own plug-ins raise goes on.
        """
        try:
            return question()
        except Exception as error:  # code of others, which may raise anything
            if (origin := self.origin(name)) is None:
                raise
            why = _in_a_line(error)
            _warn_once(f"the {self.kind} {name!r} of the package {origin} is left out: {why}")
            return None

    def origin(self, name: str) -> PluginOrigin | None:
        """The package that brings a plug-in; None for featx's own."""
        return next((b.origin for b in self._brought() if b.name == name), None)

    def brought(self) -> list[dict[str, str | None]]:
        """What installed packages add, as JSON; each is imported, to find out if it works.

        Returns
        -------
        list of dict
            ``kind``, ``name``, ``package``, ``version``, and ``fault``: None where it works.
        """
        rows = []
        for found in self._brought(valid=False):
            row = {"kind": self.kind, "name": printable(found.name), **vars(found.origin)}
            rows.append({**row, "fault": self._fault_of(found)})
        return rows

    def contents(self) -> list[list[str]]:
        """Name, package, version and SHA-256 of the module of each plug-in that packages bring.

        What is kept of a plug-in's results is good for these alone.
        """
        return [
            [b.name, b.origin.package, b.origin.version, _module_digest(b.entry.module)]
            for b in self._brought()
        ]

    def _fault_of(self, found: _Brought) -> str | None:
        if not _NAME.fullmatch(found.name):
            return "its name is not made of lower-case letters, digits and single hyphens"
        try:
            self.get(found.name)
        except FeatxError as error:
            return error.message
        return None

    def _module(self, name: str) -> str:
        return f"{self.package}.{name.replace('-', '_')}"

    def _own(self) -> list[str]:
        modules = pkgutil.iter_modules(self.path)
        return [m.name.replace("_", "-") for m in modules if not m.name.startswith("_")]

    def _brought(self, *, valid: bool = True) -> list[_Brought]:
        if self.fault is None:
            return []
        found = _entry_points(self.package)
        return [b for b in found if _NAME.fullmatch(b.name)] if valid else found

    def _load(self, found: _Brought) -> Any:
        what = f"The {self.kind} {found.name!r} of the package {found.origin}"
        try:
            plugin = found.entry.load()
            plugin = getattr(plugin, "PLUGIN", plugin)
            fault = self.fault(found.name, plugin) if self.fault else None
        except Exception as error:  # code of others, which may raise anything
            raise PluginError(
                f"{what} cannot be imported: {_in_a_line(error)}.",
                hint=f"Install a version that works, or: pip uninstall {found.origin.package}",
            ) from error
        if fault:
            raise PluginError(
                f"{what} ({printable(found.entry.value)}) cannot be used: {fault}.",
                hint="docs/plugins.md describes what a plug-in must provide.",
            )
        return plugin

    def _clash(self, name: str, own: bool, brought: list[_Brought]) -> PluginError:
        packages = [str(b.origin) for b in brought]
        makers = " and ".join((["featx itself"] if own else []) + packages)
        return PluginError(
            f"The {self.kind} {name!r} comes from {makers}; names must be unique.",
            hint=f"pip uninstall {brought[0].origin.package}, or ask its authors for another name.",
        )


def lacks(plugin: Any, *methods: str) -> str | None:
    """What a plug-in is without, in words; None where it has all these methods."""
    missing = [name for name in methods if not callable(getattr(plugin, name, None))]
    return f"it has no {' and no '.join(f'{name}()' for name in missing)}" if missing else None


def plugin_origin(group: str, name: str) -> PluginOrigin | None:
    """The installed package that brings ``name`` in an entry-point group; None where none does."""
    return next((b.origin for b in _entry_points(group) if b.name == name), None)


def _in_a_line(error: Exception) -> str:
    return printable(" ".join(f"{type(error).__name__}: {error}".split())[:300])


def _entry_points(group: str) -> list[_Brought]:
    return _all_entry_points(tuple(sys.path)).get(group, [])


@functools.lru_cache(maxsize=4)
def _all_entry_points(path: tuple[str, ...]) -> dict[str, list[_Brought]]:
    """Entry points of featx's groups in all installed packages, read once for a search path."""
    found: dict[str, list[_Brought]] = {}
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions(path=list(path)):
        try:
            entries = [e for e in distribution.entry_points if e.group.startswith("featx.")]
            if not entries:
                continue
            package, version = distribution.metadata["Name"], distribution.version
        except Exception:  # a damaged installation of some package is not featx's concern
            continue
        if not package or package in seen:  # the first on the path is what Python imports
            continue
        seen.add(package)
        origin = PluginOrigin(package, version or "unknown")
        for entry in entries:
            brought = _Brought(entry.name.replace("_", "-"), origin, entry)
            found.setdefault(entry.group, []).append(brought)
    for of_group in found.values():
        of_group.sort(key=lambda b: (b.name, b.origin.package))
    return found


def _module_digest(module: str) -> str:
    """Of a module's file; empty where it has none that can be read."""
    try:
        spec = importlib.util.find_spec(module)
        return hashlib.sha256(Path(str(spec and spec.origin)).read_bytes()).hexdigest()
    except Exception:  # finding it imports the packages around it, which are code of others
        return ""


@functools.cache
def _warn_once(message: str) -> None:
    console.warn(message)

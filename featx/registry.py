"""Plug-ins found by file: one module in a package is one plug-in, named after the file.

``heads/svm_rbf.py`` defines ``PLUGIN`` and is known as ``svm-rbf``. Nothing is registered
anywhere else, and listing names imports none of them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import MutableSequence
from typing import Any

from featx.errors import UnknownNameError

__all__ = ["Registry"]


class Registry:
    """The plug-ins of one package.

    Parameters
    ----------
    package : str
        Dotted name of the package, for instance ``"featx.heads"``.
    path : list of str
        The package's ``__path__``; a folder that is added to it later is looked into too.
    kind : str
        What one plug-in is called in messages, for instance ``"head"``.
    """

    def __init__(self, package: str, path: str | MutableSequence[str], kind: str) -> None:
        self.package = package
        self.path = [path] if isinstance(path, str) else path
        self.kind = kind

    def names(self) -> list[str]:
        """Names of all plug-ins, sorted, without importing them."""
        modules = pkgutil.iter_modules(self.path)
        return sorted(m.name.replace("_", "-") for m in modules if not m.name.startswith("_"))

    def get(self, name: str) -> Any:
        """Import one plug-in and return its ``PLUGIN``.

        Raises
        ------
        UnknownNameError
            No plug-in has this name; the message lists the choices and the nearest match.
        """
        if name not in self.names():
            raise UnknownNameError(self.kind, name, self.names())
        return importlib.import_module(f"{self.package}.{name.replace('-', '_')}").PLUGIN

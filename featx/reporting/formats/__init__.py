"""A comparison as a file: one module for each format, each with a ``PLUGIN``.

``PLUGIN`` is ``write(document) -> str``: from the document of a
`featx.comparing.compare.Comparison` to the whole text of the file. The command line has one flag
for each module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featx.registry import Registry

__all__ = ["REPORTS", "render"]

REPORTS = Registry("featx.reporting.formats", __path__[0], "report format")


def render(document: Mapping[str, Any], name: str) -> str:
    """The comparison in the format ``name``.

    Raises
    ------
    UnknownNameError
        There is no such format.
    """
    text: str = REPORTS.get(name)(document)
    return text

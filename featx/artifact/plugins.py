"""What a model needs of other packages: plug-ins that it was fitted with."""

from __future__ import annotations

from featx.artifact.document import HeadEntry, PluginEntry
from featx.errors import ModelError
from featx.files import printable
from featx.heads import HEADS
from featx.registry import PluginOrigin


def plugin_entry(origin: PluginOrigin | None) -> PluginEntry | None:
    """What ``model.json`` says of a plug-in's package; None for featx's own."""
    return None if origin is None else PluginEntry(package=origin.package, version=origin.version)


def check_head(described: HeadEntry, what: str) -> None:
    """Refuse a head whose plug-in is not installed, or is another package's than the model's.

    Raises
    ------
    ModelError
        The message names the package and version that the model was fitted with.
    """
    head, needed = printable(described.head), described.plugin
    if described.head not in HEADS.names():
        known = f"Known heads: {', '.join(HEADS.names())}."
        if needed is None:
            raise ModelError(
                f"{what} needs the head {head!r}, which is not installed.",
                hint=f"Install the package that provides it. {known}",
            )
        raise ModelError(
            f"{what} needs the head {head!r} of the package {needed.origin}, which is not "
            "installed.",
            hint=f"pip install {needed.origin.requirement}\n{known}",
        )
    here = HEADS.origin(described.head)
    if needed is not None and here is not None and here.package != needed.package:
        raise ModelError(
            f"{what} needs the head {head!r} of the package {needed.origin}; here another "
            f"package, {here}, brings a head of this name.",
            hint=f"pip uninstall {here.package}, then pip install {needed.origin.requirement}",
        )

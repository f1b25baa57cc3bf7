"""The heads, found by file, and those that installed packages bring."""

from __future__ import annotations

import sys
from typing import Any

from featx.heads._head import Head
from featx.registry import Registry


def _fault(name: str, plugin: Any) -> str | None:
    if not isinstance(plugin, Head):
        return f"it is a {type(plugin).__name__}, not a featx.heads.Head"
    return None if plugin.name == name else f"it calls itself {plugin.name!r}"


#: A folder that is added to ``featx.heads.__path__`` brings its heads.
HEADS = Registry("featx.heads", sys.modules["featx.heads"].__path__, "head", fault=_fault)

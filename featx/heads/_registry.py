"""The heads, found by file."""

from __future__ import annotations

import sys

from featx.registry import Registry

__all__ = ["HEADS"]

#: A folder that is added to ``featx.heads.__path__`` brings its heads.
HEADS = Registry("featx.heads", sys.modules["featx.heads"].__path__, "head")

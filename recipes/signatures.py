"""Write ``featx/__init__.pyi``: what editors and type checkers know of ``import featx``.

    python -m recipes.signatures

Functions are imported when they are first used, and their keyword arguments are made from the
configuration (``featx/config/keywords.py``), both of which an editor cannot follow. A test compares
the file with what this writes.
"""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import textwrap
from pathlib import Path

import featx

STUB = Path(featx.__file__).with_suffix(".pyi")
HEAD = '''"""Written by ``python -m recipes.signatures``; edit the functions instead."""

import os
from collections.abc import Sequence
from typing import Any, Literal
'''
#: What the annotations of the signatures name.
TYPES = {
    "AuditConfig": "featx.config",
    "Comparison": "featx.comparing.compare",
    "DatasetConfig": "featx.config",
    "ExportConfig": "featx.config",
    "Exported": "featx.exporting.network",
    "ExtractConfig": "featx.config",
    "Extraction": "featx.extraction",
    "FinishedAudit": "featx.api.audit",
    "Inspection": "featx.data.findings",
    "LabelSuggestion": "featx.labelling",
    "Model": "featx.artifact",
    "NextConfig": "featx.config",
    "Path": "pathlib",
    "Run": "featx.runs",
    "ScoreConfig": "featx.config",
    "Scores": "featx.scoring.scores",
}


def stub() -> str:
    """The text of the file, as ``ruff format`` leaves it."""
    functions, others = [], []
    for name in sorted(featx._HOMES):
        value = getattr(featx, name)
        if inspect.isfunction(value) and hasattr(value, "__signature__"):
            functions.append(_function(name))
        else:
            others.append(f"from {featx._HOMES[name]} import {name} as {name}")
    body = "\n".join(functions)
    imports = [f"from {home} import {name}" for name, home in TYPES.items() if name in body]
    names = ",\n".join(f'    "{name}"' for name in featx.__all__)
    text = "\n".join(
        [HEAD, *sorted(others + imports), "", f"__all__ = [\n{names},\n]", "__version__: str", body]
    )
    return _formatted(text)


def _function(name: str) -> str:
    function = getattr(importlib.import_module(featx._HOMES[name]), name)
    doc = textwrap.indent(inspect.getdoc(function), "    ").strip()
    return f'\ndef {name}{inspect.signature(function)}:\n    """{doc}\n    """\n'


def _formatted(text: str) -> str:
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (["check", "--select", "I,F401", "--fix-only", "-q"], ["format", "-q"]):
        text = subprocess.run(
            [str(ruff), *arguments, "--stdin-filename", str(STUB), "-"],
            input=text, capture_output=True, text=True, check=True, cwd=STUB.parents[1],
        ).stdout  # fmt: skip
    return text


if __name__ == "__main__":
    STUB.write_text(stub(), "utf-8")

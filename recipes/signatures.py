"""Write ``featx/__init__.pyi``: what editors and type checkers know of ``import featx``.

    python -m recipes.signatures

Functions are imported when they are first used, and their keyword arguments are made from the
configuration (``featx/config/keywords.py``), both of which an editor cannot follow. A test compares
the file with what this writes.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import featx

STUB = Path(featx.__file__).with_suffix(".pyi")
HEAD = '''"""Written by ``python -m recipes.signatures``; edit the functions instead."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
'''


def stub() -> str:
    """The text of the file, as ``ruff format`` leaves it."""
    functions: list[str] = []
    imports: set[str] = set()
    for name in sorted(featx._HOMES):
        value = getattr(featx, name)
        if inspect.isfunction(value) and hasattr(value, "__signature__"):
            functions.append(_function(value))
            imports |= _imports(value)
        else:
            imports.add(f"from {featx._HOMES[name]} import {name} as {name}")
    names = ",\n".join(f'    "{name}"' for name in featx.__all__)
    text = "\n".join(
        [HEAD, *sorted(imports), "", f"__all__ = [\n{names},\n]", "__version__: str", *functions]
    )
    return _formatted(text)


def _function(function: Callable[..., Any]) -> str:
    doc = textwrap.indent(inspect.getdoc(function) or "", "    ").strip()
    return f'\ndef {function.__name__}{inspect.signature(function)}:\n    """{doc}\n    """\n'


def _imports(function: Callable[..., Any]) -> set[str]:
    """Where featx's own types in a signature are defined."""
    words = set(re.findall(r"[A-Z]\w+", str(inspect.signature(function))))
    types = [value for name, value in inspect.unwrap(function).__globals__.items()
             if name in words]  # fmt: skip
    return {f"from {t.__module__} import {t.__name__}" for t in types if "featx." in t.__module__}


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

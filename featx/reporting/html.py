"""Blocks as one self-contained page: no font, no file, no address; names stay text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from featx.files import printable
from featx.numbers import cell
from featx.reporting.blocks import Bar, Block, Chapter, Code, Strong
from featx.reporting.drawing import inline_svg
from featx.reporting.glossary import explained
from featx.reporting.ink import HUES

FOLDER = Path(__file__).parent
#: Scripts in their order, and the kinds of blocks that need each; the first is the others' tools.
SCRIPTS = {
    "tools.js": {"Table", "Figures", "CodeBlock"},
    "decide.js": {"Decisions"},
    "enlarge.js": {"Gallery", "Browser"},
    "browse.js": {"Browser"},
    "map.js": {"Map"},
    "sliders.js": {"Sliders"},
}


@cache
def _template(file: str = "page.html") -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(cell=cell, drawn=inline_svg, explained=explained, kind=_kind,
                               about=asdict)  # fmt: skip
    kinds = {"strong": Strong, "code": Code, "bar": Bar}
    for name, kind in kinds.items():
        environment.tests[name] = lambda value, kind=kind: isinstance(value, kind)
    environment.globals["n_hues"] = len(HUES)
    return environment.get_template(file)


def _shown(value: Any) -> Any:
    """Text without control characters; what is HTML already is left as it is."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def fragment(blocks: Sequence[Block]) -> str:
    """Blocks as part of another page, such as a notebook's, without style and script."""
    text: str = _template("notebook.html").render(blocks=blocks)
    return text


def page(title: str, blocks: Sequence[Block], *, broad: bool = False) -> str:
    """One HTML document.

    Parameters
    ----------
    title : str
        Of the window, and the page's first heading.
    blocks : sequence of Block
    broad : bool, default=False
        Whether the page is as wide as figures beside each other need.

    Returns
    -------
    str
        Pictures are ``data:`` addresses; nothing is loaded. The one script is featx's own, of what
        the blocks need, and allowed by its hash: were there a way to smuggle other markup in, the
        browser would still load and run nothing.
    """
    from markupsafe import Markup

    blocks = [block for block in blocks if not isinstance(block, Chapter) or block.blocks]
    sections = [block for block in blocks if isinstance(block, Chapter)]
    script = _script(set(_kinds(blocks)))
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
    text: str = _template().render(
        title=title, blocks=blocks, sections=sections, broad=broad, policy=policy,
        style=Markup(_file("page.css")), script=Markup(script),
    )  # fmt: skip
    return text


def _kind(block: Block) -> str:
    return type(block).__name__


def _kinds(blocks: Sequence[Block]) -> Iterator[str]:
    """The kinds of the blocks and of those inside them."""
    for block in blocks:
        yield _kind(block)
        yield from _kinds(getattr(block, "blocks", ()))


def _script(kinds: set[str]) -> str:
    """What the kinds of blocks need, one file after the other."""
    needed = [name for name, of in SCRIPTS.items() if of & kinds]
    return "".join(map(_file, dict.fromkeys(["tools.js", *needed]))) if needed else ""


@cache
def _file(name: str) -> str:
    return (FOLDER / "static" / name).read_text("utf-8")

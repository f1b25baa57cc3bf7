"""Blocks as one self-contained page: no font, no file, no address; names stay text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from featx.files import printable
from featx.numbers import cell
from featx.reporting.blocks import Bar, Block, Chapter, Code, Map, Sliders, Strong
from featx.reporting.drawing import inline_svg
from featx.reporting.ink import HUES

__all__ = ["page"]

FOLDER = Path(__file__).parent
SCRIPTS = {Map: "map.js", Sliders: "sliders.js"}


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(cell=cell, drawn=inline_svg, kind=lambda block: type(block).__name__)
    kinds = {"strong": Strong, "code": Code, "bar": Bar}
    for name, kind in kinds.items():
        environment.tests[name] = lambda value, kind=kind: isinstance(value, kind)
    environment.globals["n_hues"] = len(HUES)
    return environment.get_template("page.html")


def _shown(value: Any) -> Any:
    """Text without control characters; what is HTML already is left as it is."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


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
        Pictures are ``data:`` addresses; nothing is loaded. A script is there for maps and sliders
        alone, and allowed by its hash: were there a way to smuggle other markup in, the browser
        would still load and run nothing.
    """
    from markupsafe import Markup

    blocks = [block for block in blocks if not isinstance(block, Chapter) or block.blocks]
    sections = [block for block in blocks if isinstance(block, Chapter)]
    kinds = {type(block) for section in sections for block in section.blocks}
    script = "".join(_file(name) for kind, name in SCRIPTS.items() if kind in kinds)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
    text: str = _template().render(
        title=title, blocks=blocks, sections=sections, broad=broad, policy=policy,
        style=Markup(_file("page.css")), script=Markup(script),
    )  # fmt: skip
    return text


@cache
def _file(name: str) -> str:
    return (FOLDER / "static" / name).read_text("utf-8")

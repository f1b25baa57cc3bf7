"""A whole page."""

from __future__ import annotations

import base64
import hashlib

from featx.pages.markup import Markup, element
from featx.pages.style import STYLE

__all__ = ["page"]


def page(title: str, *body: str, style: str = "", script: str = "") -> str:
    """One self-contained HTML document.

    Parameters
    ----------
    title : str
        Of the window, and the page's first heading.
    *body : str
        What follows; `Markup` as it is, other text escaped.
    style : str, default=""
        CSS beside `STYLE`; a constant of the code, never text from a file.
    script : str, default=""
        JavaScript, likewise a constant. It is allowed by its hash: were there a way to smuggle
        other markup in, the browser would still load and run nothing.

    Returns
    -------
    str
        Pictures may be ``data:`` addresses; nothing else is loaded.
    """
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="generator", content="featx"),  # so that it may be replaced
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(STYLE + style)),
    )
    end = [element("script", Markup(script))] if script else []
    content = element("body", element("h1", title), *body, *end)
    return f"<!doctype html>\n{element('html', head, content, lang='en')}\n"

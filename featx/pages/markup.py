"""HTML that cannot be broken out of: text is escaped where it is put in."""

from __future__ import annotations

import html

__all__ = ["Markup", "breakable", "element"]


class Markup(str):
    """Text that is HTML already; only `element` and constants of featx's own make any."""

    __slots__ = ()


VOID = frozenset({"meta", "img", "br", "wbr", "line", "circle", "rect", "path"})


def element(name: str, /, *inside: str, **attributes: str | float) -> Markup:
    """``<name attributes>inside</name>``; whatever is not `Markup` is escaped.

    A trailing ``_`` of an attribute's name is dropped, other ``_`` become ``-``.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
    )
    if name in VOID and not inside:
        return Markup(f"<{name}{given}/>")
    content = "".join(part if isinstance(part, Markup) else html.escape(part) for part in inside)
    return Markup(f"<{name}{given}>{content}</{name}>")


def breakable(text: str) -> Markup:
    """A name, escaped, that where there is no room breaks after ``_`` rather than in a word."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(text).replace("_", "_<wbr/>"))

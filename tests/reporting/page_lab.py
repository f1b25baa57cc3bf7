"""What tests of pages share: a hostile name, and a page opened in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HOSTILE = "<script>alert(1)<!--$x$"  # a folder's name holds no slash
BROKEN = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
WIDTH = "document.documentElement.scrollWidth"


def opened(chromium: Any, path: Path, width: int, scheme: str, heard: list[str]) -> Any:
    """The page in a window of that width; whatever it says, asks or fetches is ``heard``."""
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: (heard.append("dialog"), dialog.dismiss()))
    page.on("request", lambda r: heard.append(r.url) if r.url.startswith("http") else None)
    page.goto(path.resolve().as_uri())
    return page

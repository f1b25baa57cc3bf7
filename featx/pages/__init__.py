"""Pages of HTML that need nothing else: no font, no file, no address; names stay text."""

from featx.pages.markup import Markup, breakable, element
from featx.pages.page import page
from featx.pages.style import STYLE
from featx.pages.tables import table
from featx.pages.thumbnails import thumbnail

__all__ = ["STYLE", "Markup", "breakable", "element", "page", "table", "thumbnail"]

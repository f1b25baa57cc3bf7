"""A finished run as one page for people, and its figures and tables as files for papers.

matplotlib is imported here only, and only when something is drawn.
"""

from featx.reporting.contents import Embedded, Heat, Heats, Subject
from featx.reporting.document import write_page
from featx.reporting.files import FIGURES, write_figures
from featx.reporting.map import Layout, lay_out

__all__ = [
    "FIGURES",
    "Embedded",
    "Heat",
    "Heats",
    "Layout",
    "Subject",
    "lay_out",
    "write_figures",
    "write_page",
]

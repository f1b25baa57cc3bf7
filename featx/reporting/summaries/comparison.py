"""A comparison of runs for a person: a few sentences, then where the page and the images are."""

from __future__ import annotations

from featx import console
from featx.files import printable
from featx.reporting.blocks import Points
from featx.reporting.compared import comparison_verdict
from featx.reporting.comparison import comparison_blocks
from featx.reporting.terminal import show
from featx.types import Row

HINT = "none; --html FILE writes one"


def print_comparison(
    document: Row, *, page: str | None = None, disagreements: str | None = None
) -> None:
    """Print the sentences and the paths; with ``-v`` all sections before them.

    Parameters
    ----------
    document : mapping
        Of a `featx.comparing.compare.Comparison`.
    page, disagreements : str, optional
        Files that were written.
    """
    if console.verbosity() >= 1:
        _, *sections = comparison_blocks(document)
        show(sections)
        console.text("")
    show([Points(comparison_verdict(document))])
    console.text("")
    console.text(f"Page: {HINT if page is None else printable(page)}")
    if disagreements is not None:
        console.text(f"Images predicted differently: {printable(disagreements)}")

"""A race for a person: a table, a few sentences, and where the page is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featx import console
from featx.files import printable
from featx.reporting.blocks import Points
from featx.reporting.race_page import race_table, race_verdict
from featx.reporting.terminal import show


def print_race(document: Mapping[str, Any], folder: Path) -> None:
    """Print the table, the sentences and the path of the page."""
    show([race_table(document), Points(race_verdict(document))])
    console.text("")
    console.text(f"Page: {printable(str(folder / 'race.html'))}")

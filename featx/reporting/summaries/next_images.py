"""Images to label next, for a person: one a line with the reason, then how many of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from featx import console
from featx.files import printable
from featx.labelling import LabelSuggestion

REASONS = {
    "doubt": "doubtful",
    "rare": "likely a rare class",
    "spread": "unlike anything labelled",
    "random": "random",
}


def print_next(found: Sequence[LabelSuggestion]) -> None:
    """Print the list and a sentence."""
    rows = [
        (printable(each.id), REASONS.get(each.reason, each.reason), _predicted(each))
        for each in found
    ]
    console.table("", ("image", "reason", "prediction"), rows)
    counts = Counter(REASONS.get(each.reason, each.reason) for each in found)
    named = ", ".join(f"{n:,} {reason}" for reason, n in counts.most_common())
    console.text(f"\n{console.counted(len(found), 'image')} to label{named and f': {named}'}.")


def _predicted(each: LabelSuggestion) -> str:
    if each.y_pred is None:
        return ""
    return f"{printable(each.y_pred)} {100 * each.proba[each.y_pred]:.0f} %"

"""An audit for a person: a few sentences, then where the page and the tables are."""

from __future__ import annotations

from pathlib import Path

from featx import console
from featx.auditing.shortcuts import FAMILIES
from featx.console import counted, first_few
from featx.files import printable
from featx.numbers import in_percent, interval
from featx.reporting.blocks import Points, Strong, Text
from featx.reporting.terminal import show
from featx.types import Row

MOST_NAMED = 3
ALIKE = "images that come out alike"


def print_audit(results: Row, folder: Path) -> None:
    """Print the sentences and the paths; with ``-v`` everything that was found before them."""
    if console.verbosity() >= 1:
        show([Points(results["summary"])])
        console.text("")
    show([Points(audit_verdict(results))])
    console.text("")
    console.text(f"Page: {printable(str(folder / 'audit.html'))}")
    console.text(f"Tables: {printable(str(folder))}")


def audit_verdict(results: Row) -> list[Text]:
    """Three to seven sentences: found, copies, groups, shortcuts, labels, hardest, next.

    Parameters
    ----------
    results : mapping
        ``audit.json``.
    """
    sentences = [
        _found(results), _copies(results), _groups(results), _shortcuts(results),
        _labels(results), _hardest(results), _next(results),
    ]  # fmt: skip
    return [sentence for sentence in sentences if sentence]


def _found(results: Row) -> Text:
    images = counted(results["images"], "image")
    unread = len(results["quarantined"])
    more = f", and {counted(unread, 'file')} could not be read" if unread else ""
    if not results["serious"]:
        return ["The finding to read: ", Strong("nothing serious"), f" in {images}{more}."]
    what = Strong(printable(", ".join(results["serious"])))
    return ["The finding to read: serious, ", what, f", in {images}{more}."]


def _copies(results: Row) -> str:
    copies = results["copies"]
    if ALIKE in results["serious"]:  # nothing can be said of copies then
        return str(results["summary"][1])
    if not copies:
        return "No copies were found; small changes of small images can be missed."
    exact = sum(row["exact"] for row in copies)
    text = f"{counted(len(copies), 'set')} of copies: {exact:,} exact, {len(copies) - exact:,} near"
    across = {
        "with different labels": sum(row["across_classes"] for row in copies),
        "across splits": sum(row["across_splits"] for row in copies),
    }
    return text + "".join(f", {n:,} {words}" for words, n in across.items() if n) + "."


def _proposed(results: Row) -> Row | None:
    """The groups to keep together that are more than copies."""
    taken = (row for row in results["groups_found"] if row["taken"])
    return next((row for row in taken if row["family"] != "pictures"), None)


def _groups(results: Row) -> str | None:
    found = _proposed(results)
    if found is None:
        return None
    groups, said = counted(found["groups"], "group", "was/were"), printable(found["said"])
    text = f"{groups} found by {said}; --group groups.csv keeps each in one fold"
    if found["effect"] is None:
        return f"{text}."
    points = 100 * found["effect"]["difference"]["value"]
    return f"{text}, which changes a quick classifier's balanced accuracy by {points:+.1f} points."


def _shortcuts(results: Row) -> str | None:
    """The serious shortcut that predicts best, else the best of all that give a class away."""
    given = [row for row in results["shortcuts"] if row["given_away"]]
    if not given:
        return None
    best = max(given, key=lambda row: (row["serious"], row["balanced_accuracy"]["value"] or 0.0))
    label = best["given_away"][0]
    what = FAMILIES[best["family"]]
    more = len(best["given_away"]) - 1
    also = f", and {counted(more, 'more class', 'is/are')} too" if more else ""
    verb = "give" if best["family"] == "colour" else "gives"
    return (
        f"Without the picture, {what} {verb} class {printable(label)!r} away (ROC AUC "
        f"{interval(best['by_class'][label], 2)}){also}."
    )


def _labels(results: Row) -> str | None:
    issues = results["label_issues"]
    if issues is None:
        return None
    n, total = len(issues["suspects"]), len(issues["quality"])
    if not n:
        return f"None of {counted(total, 'label')} is doubted."
    return f"{n:,} of {counted(total, 'label')} {'is' if n == 1 else 'are'} doubted: look at them."


def _hardest(results: Row) -> str | None:
    if results["separability"] is None:
        return None
    rows = {
        name: row["recall"]
        for name, row in results["separability"]["per_class"].items()
        if row["recall"]["value"] is not None
    }
    if not rows:
        return None
    name = min(rows, key=lambda label: (rows[label]["value"], label))
    shown = in_percent(rows[name])
    return f"Hardest is {printable(name)!r}: {shown} of its images are recognised out of fold."


def _next(results: Row) -> str:
    if results["serious"]:
        return f"Next: look at {first_few(results['serious'], MOST_NAMED)} before any fit."
    together = "" if _proposed(results) is None else " with --group groups.csv"
    if results["copies"]:
        also = f", and fit{together}" if together else ""
        return f"Next: leave the copies out with --exclude exclude.csv{also}."
    if results["label_issues"] is not None and results["label_issues"]["suspects"]:
        return f"Next: look at the doubted labels, then fit{together}."
    return f"Next: fit{together}."

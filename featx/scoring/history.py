"""``--history FILE``: one line of JSON for each scoring, so that nights can be compared."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from featx import console
from featx.appending import append_lines, is_object
from featx.artifact import Model
from featx.errors import UsageError
from featx.files import file_start, printable, read_bounded
from featx.ours import FileKind
from featx.outputs import Output, Used, check_clear, check_writable
from featx.parsing import parse_json
from featx.scoring.scores import Scores
from featx.system_errors import reason

MOST_BYTES = 1 << 28
KEYS = ("date", "model", "rows")


def _is_history(path: Path) -> bool:
    """Whether the first line is one of ours; the only line may have been cut off by a crash."""
    start = file_start(path)
    line, newline, _ = start.partition(b"\n")
    if not newline and not is_object(line):
        return line.startswith(b'{"date": "')
    found = parse_json(line)
    return isinstance(found, dict) and set(KEYS) <= found.keys()


HISTORY = FileKind("a history of scorings", _is_history)


def check_history(path: str | None, others: Sequence[Output], used: Sequence[Used]) -> None:
    """Refuse a file that lines cannot be added to, before anything is read.

    Raises
    ------
    UsageError
        It is something else than a history, another output, something that is read, or its folder
        cannot be written.
    """
    if path is None:
        return
    output = Output(path, "--history", HISTORY, overwrite=True)
    outputs = [Used(f"what {other.flag} writes", other.path) for other in others]
    check_clear(output, [*used, *outputs])
    if os.path.lexists(path) and (fault := HISTORY.fault(Path(path))) is not None:
        raise UsageError(
            f"--history {output.shown} {fault}; nothing is added to it.", hint="Name another file."
        )
    check_writable(Output(output.target.parent, "--history", HISTORY))


def describe_scoring(model: Model, named: str, source: str, scores: Scores) -> dict[str, Any]:
    """One scoring in one line: when, by which model, of what, and its shares."""
    shares = {check.name: check.share for check in scores.checks}
    drift = scores.drift or {"drift": None, "embeddings": {}, "predicted_classes": {}}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": printable(named or str(model.provenance.get("dataset", ""))),
        "fitted": model.provenance.get("date"),
        "images": printable(source),
        "rows": len(scores),
        "scored": len(scores) - len(scores.failures),
        "passed_over": sum(scores.passed_over.values()),
        "quarantined": shares.get("quarantined"),
        "abstained": shares.get("abstained"),
        "ood": shares.get("ood"),
        "drift": drift["drift"],
        "drift_p_embeddings": drift["embeddings"].get("p_adjusted"),
        "drift_p_classes": drift["predicted_classes"].get("p_adjusted"),
        "classes": {name: n for name, n in scores.counts().items() if n},
    }


def add_line(path: str | os.PathLike[str], entry: Mapping[str, Any]) -> None:
    """Add one line durably; a last line that a crash cut off is removed first.

    Writers wait for each other, so that no two lines are mixed. A line that cannot be added costs
    a warning: the scores are written.
    """
    try:
        line = json.dumps(entry, allow_nan=False).encode() + b"\n"
        append_lines(Path(path).absolute(), line)
    except OSError as error:
        console.warn(f"nothing was added to {printable(os.fspath(path))}: {reason(error)}")


def read_history(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a history, the oldest first; what is no line of one is left out.

    Empty where the file cannot be read.
    """
    found: list[dict[str, Any]] = []
    try:
        data = read_bounded(path, MOST_BYTES)
    except OSError:
        return found
    for line in data.splitlines():
        try:
            entry = parse_json(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and set(KEYS) <= entry.keys():
            found.append(entry)
    return found

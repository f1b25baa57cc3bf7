"""What a fit without groups says where the names of the files hold some."""

from __future__ import annotations

from featx.auditing.grouping import named_groups
from featx.console import counted
from featx.data.manifest import Manifest
from featx.data.name_groups import OWNERS
from featx.extraction import Extraction
from featx.files import printable

_WHOLE = {"pat": "patient", "pt": "patient", "subj": "subject", "sub": "subject", "vid": "video"}
_WHOLE |= {"cam": "camera", "seq": "sequence", "ses": "session", "loc": "location"}


def grouping_notes(manifest: Manifest, extraction: Extraction, *, seed: int) -> list[str]:
    """One sentence where names suggest groups that the embeddings confirm; else none.

    Rows of numbers have no files, and groups that are known are obeyed.
    """
    if manifest.grouped or not extraction.ok.any() or not manifest.rows[0].path:
        return []
    rows = [row for row, ok in zip(manifest.rows, extraction.ok, strict=True) if ok]
    ids, labels = [row.id for row in rows], [row.label for row in rows]
    found = named_groups(ids, labels, extraction.X, seed=seed)
    if found is None or found.sure != "strong":
        return []
    of = found.suggestion
    word = of.word if of.word in OWNERS else None
    what = counted(of.n_groups, _WHOLE.get(word, word) if word else "group")
    kind = "folders" if of.family == "folders" else "file names"
    return [
        printable(
            f"The {kind} look like {what} ({of.said}): the estimate may be too high for new ones; "
            "see featx audit."
        )
    ]

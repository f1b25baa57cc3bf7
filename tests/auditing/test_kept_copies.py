"""Which of several equal images ``exclude.csv`` keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from featx.auditing.audit import Audit, _sorted_copies
from featx.auditing.data import AuditData
from featx.auditing.duplicates import CopySet
from featx.auditing.looking import Look


def excluded(
    labels: list[str | None], pictures: list[int], monkeypatch: Any, splits: str = ""
) -> dict[str, str]:
    """What is left out of one set of images that are alike; equal numbers are equal pictures."""
    n = len(labels)
    data = AuditData(
        ids=[f"{i}.png" for i in range(n)],
        X=np.zeros((n, 2), np.float32),
        hashes=np.zeros((n, 32), np.uint8),
        labels=labels,
        groups=[None] * n,
        splits=[{"t": "train", "e": "test"}.get(s) for s in splits.ljust(n)],
        looks=list[Look](),
    )
    monkeypatch.setattr(AuditData, "copies", np.array(pictures))
    exact = len(set(pictures)) == 1
    sets = [CopySet(tuple(range(n)), exact, 1.0 if exact else 0.96)]
    found = Audit(data, [], [], {}, np.arange(n), None, np.zeros(n), [], None, None, [], {})
    return dict(replace(found, copies=_sorted_copies(data, sets)).excluded())


@pytest.mark.parametrize(
    ("labels", "pictures", "splits", "left_out"),
    [
        (["a", "a"], [0, 0], "", {1}),  # one of two equal images stays
        (["a", "b"], [0, 0], "", {0, 1}),  # nobody can tell which label is right
        ([None, "a"], [0, 0], "", {0}),  # the label stays too
        (["a", "a"], [0, 0], "te", {0}),  # the test image stays
        (["a", "a", "b"], [0, 0, 1], "", {1}),  # near copies with other labels stay, equal ones go
        (["a", "b", "b"], [0, 0, 1], "", {0, 1}),
        (["a", "a", "a"], [0, 0, 1], "", {1, 2}),
        (["a", "b"], [0, 1], "", set()),
    ],
)
def test_one_of_equal_images_stays_unless_their_labels_differ(
    labels: list[str | None],
    pictures: list[int],
    splits: str,
    left_out: set[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = excluded(labels, pictures, monkeypatch, splits)
    assert set(found) == {f"{i}.png" for i in left_out}

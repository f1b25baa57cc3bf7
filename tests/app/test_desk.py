"""What a page shows of a labelling, and what two of them may do to each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_lab import labelling

from featx.app.desk import ChangedMeanwhileError, Desk
from featx.errors import UsageError
from featx.labelling import LabelEvent, LabellingSession, LabelLog

NAMES = [f"{'ab'[i % 2]}/{i:02}.png" for i in range(24)]


@pytest.fixture
def session(tmp_path: Path) -> LabellingSession:
    return labelling(tmp_path, NAMES, NAMES)


@pytest.fixture
def desk(session: LabellingSession) -> Desk:
    return Desk(session)


def mark(desk: Desk, row: int) -> str:
    [item] = desk.items([row])
    found = item["mark"]
    assert isinstance(found, str)
    return found


def test_a_decision_is_in_the_file_and_in_the_counts(desk: Desk, session: LabellingSession) -> None:
    desk.decide([0, 3], "label", " red ", ["", ""])
    desk.decide([1], "skip", None, [""])
    assert LabelLog(session.log.path).labels() == {NAMES[0]: "red", NAMES[3]: "red"}
    state = desk.state()
    assert state["counts"] == {"images": 24, "unreadable": 0, "label": 2, "skip": 1, "unsure": 0,
                               "exclude": 0}  # fmt: skip
    assert state["classes"] == [{"name": "red", "n": 2}]
    assert desk.rows("=red", "") == [0, 3]
    assert desk.rows("skip", "") == [1]
    assert desk.rows("undecided", "B/") == [row for row in range(3, 24, 2) if row != 3]


def test_what_another_window_decided_is_not_overwritten(desk: Desk) -> None:
    desk.decide([4], "label", "red", [""])
    with pytest.raises(ChangedMeanwhileError, match="labelled 'red'") as refused:
        desk.decide([5, 4], "label", "blue", ["", ""])
    assert refused.value.rows == [4]
    assert [item["label"] for item in desk.items([4, 5])] == ["red", None]
    desk.decide([4], "label", "blue", [mark(desk, 4)])  # once it was seen it may be replaced
    assert desk.items([4])[0]["label"] == "blue"


def test_what_another_process_decided_is_seen_and_not_overwritten(
    desk: Desk, session: LabellingSession
) -> None:
    before = desk.revision()
    LabelLog(session.log.path).append([LabelEvent(NAMES[7], "exclude")])
    assert desk.revision() != before
    assert desk.changed_since(before) == [7]
    with pytest.raises(ChangedMeanwhileError, match="exclude"):
        desk.decide([7], "label", "red", [""])


def test_each_window_takes_back_its_own_steps(desk: Desk) -> None:
    one = desk.decide([0], "label", "red", [""])
    other = desk.decide([1, 2], "label", "green", ["", ""])
    assert desk.undo(one) == [0]
    assert desk.undo(one) == []
    assert [item["label"] for item in desk.items([0, 1, 2])] == [None, "green", "green"]
    again = desk.decide([1], "label", "red", [other])
    assert desk.undo(again) == [1]
    assert desk.items([1])[0]["label"] == "green"  # what counted before counts again
    assert desk.undo(None) == [1, 2]
    assert desk.undo(None) == []


def test_the_head_s_guesses_come_with_the_next_images(desk: Desk) -> None:
    for row in range(12):
        desk.decide([row], "label", ("red", "green", "blue")[row % 3], [""])
    rows = desk.next_batch()
    items = desk.items(rows)
    assert not set(rows) & set(range(12))
    assert {item["guess"] for item in items} <= {"red", "green", "blue"}
    assert all(item["reason"] and 0 < item["p"] <= 1 for item in items)
    near = desk.similar([0])
    assert 0 not in near
    assert all(row % 3 == 0 for row in near[:3])


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[31m", "x" * 201, None, 7, ["a"]])
def test_names_that_no_class_can_have_are_refused(desk: Desk, name: object) -> None:
    with pytest.raises(UsageError, match="1 to 200 characters"):
        desk.decide([0], "label", name, [""])  # type: ignore[arg-type]
    assert desk.items([0])[0]["d"] is None

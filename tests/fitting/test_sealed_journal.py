"""What is kept to go on from is believed only as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fit_lab import make_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featx.config import FitConfig
from featx.fitting import fit_heads
from featx.fitting.candidates import Setup, Trial
from featx.fitting.journal import Entry, ScoreFile
from featx.kept import read_kept, write_kept
from featx.sealed import seal_line, unseal_line

TRIAL = Trial(Setup(("net",), "logreg", "none", "none"), (("C", 0.1),))
CONFIG = FitConfig(head=["ridge"], cv=3, estimate="nested", jobs=1)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


def data():
    return make_data([40, 30, 14], n_features=6, distance=1.5)


@given(DOCUMENTS, st.text(), st.data())
def test_a_line_is_what_was_sealed_or_nothing(document, place, draw) -> None:
    line = seal_line(document, place)
    assert unseal_line(line, place) == document
    assert json.loads(line)[1] == document  # still a line of JSON
    at = draw.draw(st.integers(0, len(line) - 2))
    changed = bytearray(line)
    changed[at] ^= draw.draw(st.integers(1, 255))
    for wrong in (bytes(changed), line[:at], line[1:]):
        with pytest.raises(ValueError, match="checksum"):
            unseal_line(wrong, place)
    with pytest.raises(ValueError, match="checksum"):
        unseal_line(line, place + "x")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(draw=st.data())
def test_an_altered_byte_costs_the_line_and_is_said(draw, tmp_path: Path, capsys) -> None:
    path = tmp_path / "a.jsonl"
    path.unlink(missing_ok=True)
    for i in range(3):
        ScoreFile(path).add(Entry(TRIAL, (i,), [0.1 * i], False))
    whole = bytearray(path.read_bytes())
    at = draw.draw(st.integers(0, len(whole) - 1).filter(lambda i: whole[i] != ord("\n")))
    byte = draw.draw(st.integers(0, 255).filter(lambda b: b not in (whole[at], ord("\n"))))
    line = whole[:at].count(b"\n")
    whole[at] = byte
    path.write_bytes(whole)
    capsys.readouterr()
    file = ScoreFile(path)
    assert file.find(TRIAL, (line,)) is None
    assert [i for i in range(3) if file.find(TRIAL, (i,))] == [i for i in range(3) if i != line]
    assert "1 line of an earlier search has no valid checksum" in capsys.readouterr().err


def test_an_altered_score_changes_no_result(tmp_path: Path, capsys) -> None:
    whole = fit_heads(data(), CONFIG)
    fit_heads(data(), CONFIG, journal=tmp_path)
    for path in tmp_path.glob("*.jsonl"):
        lines = [json.loads(line)[1] for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps([key, [0.999], s]) + "\n" for key, _, s in lines))
    capsys.readouterr()
    again = fit_heads(data(), CONFIG, journal=tmp_path)
    assert again.document()["search"]["resumed_fits"] == 0
    assert again.chosen.fold_scores == whole.chosen.fold_scores
    assert again.estimate == whole.estimate
    said = capsys.readouterr().err
    assert "have no valid checksum (changed, cut short, or written by an older featx)" in said


def test_a_line_of_another_search_is_not_believed(tmp_path: Path) -> None:
    ScoreFile(tmp_path / "a.jsonl").add(Entry(TRIAL, (0,), [0.5], False))
    (tmp_path / "a.jsonl").rename(tmp_path / "b.jsonl")
    assert ScoreFile(tmp_path / "b.jsonl").find(TRIAL, (0,)) is None


def test_what_is_kept_of_networks_is_believed_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATX_NETWORKS", str(tmp_path))
    write_kept("a", {"mean": [0.5, 0.25]})
    assert read_kept("a") == {"mean": [0.5, 0.25]}
    path = tmp_path / "a.json"
    path.write_bytes(path.read_bytes().replace(b"0.25", b"0.26"))
    assert read_kept("a") is None
    path.write_text('{"mean": [0.5, 0.26]}')
    assert read_kept("a") is None

"""Classes that a person reads as one, and words that stand for a missing value."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.data.likeness import loose, similar
from featx.data.reader import read_manifest
from featx.data.remarks import remarks

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def said(tmp_path: Path, labels: list[str], column: str = "label") -> list[str]:
    lines = [f'{i}.png,"{label}"' for i, label in enumerate(labels * 3)]
    (tmp_path / "m.csv").write_text(f"path,{column}\n" + "\n".join(lines), "utf-8")
    return list(remarks(read_manifest(str(tmp_path / "m.csv"))))


@pytest.mark.parametrize(
    ("first", "second", "how"),
    [
        ("Cat", "cat", "in case"), ("cat", "cat ", "in spaces"),
        ("big cat", "big  cat", "in spaces"),
        (" Cat", "cat", "in case or spaces"), (NFC, NFD, "in Unicode form"),
        ("hot_dog", "hot dog", "in spaces, underscores or hyphens"),
        ("hot-dog", "hot_dog", "in spaces, underscores or hyphens"),
        ("cat", "ｃａｔ", "in width or form of characters"),
        ("cat", "ca\u200bt", "in invisible characters"),
        ("a b", "a\u00a0b", "in spaces"), ("'cat'", "cat", "in quotation marks"),
        ("1", "1.0", "in how a number is written"), ("1", "01", "in how a number is written"),
        ("Hot_Dog", "hot dog ", "in case, spaces, punctuation or Unicode form"),
        ("STRASSE", "straße", "in case"),
    ],
)  # fmt: skip
def test_classes_that_are_read_as_one_are_said_with_their_counts(tmp_path, first, second, how):
    (sentence,) = said(tmp_path, [first, first, second, "dog", "fox"])
    assert sentence.startswith(f"Classes that differ only {how}: '")
    assert "(6 images), '" in sentence
    assert "(3 images)." in sentence
    names = re.findall(r"'(.*?)' \(", sentence)
    assert len(set(names)) == 2, "told apart by eye"


@pytest.mark.parametrize("names", [["cat", "dog"], ["1", "2"], ["0.1", "0.10", "1.1"][::2],
                                   ["a-1", "a-2"], ["-", "--"], ["é", "e"], ["1", "10"],
                                   ["x", "_x"], ["-1", "1"], ["C", "C++", "C#"]])  # fmt: skip
def test_classes_that_differ_are_left_alone(names):
    assert similar(dict.fromkeys(names, 1)) == [] or names == ["x", "_x"]


@given(st.text(min_size=1, max_size=12))
def test_a_name_is_like_its_other_forms(name):
    assert loose(name)
    for form in ("NFC", "NFD", "NFKC"):
        other = unicodedata.normalize(form, name)
        if other.strip() and loose(other) != other:
            assert loose(other) == loose(name) or loose(unicodedata.normalize("NFKC", other))
    if name.strip():
        assert loose(f" {name} ") == loose(name)


def test_many_sets_are_counted(tmp_path):
    labels = [f"{form}{i}" for i in range(8) for form in ("Class", "class")]
    found = said(tmp_path, labels)
    assert len(found) == 6
    assert found[-1] == "3 more sets of classes differ only in how they are written."


@pytest.mark.parametrize("word", ["", " ", "nan", "NaN", "null", "NULL", "<NA>", "#N/A"])
def test_words_that_are_no_value(tmp_path, word):
    found = said(tmp_path, ["cat", "dog", word])
    manifest = read_manifest(str(tmp_path / "m.csv"))
    assert manifest.classes == ["cat", "dog"]
    assert manifest.labels.count(None) == 3
    expected = [f"Column 'label': '{word}' (3) counts as an empty cell."] if word else []
    assert found == expected


@pytest.mark.parametrize("word", ["NA", "None", "-", "n/a", "?", "unknown", "Unknown", "N.A."])
def test_words_that_may_be_no_value_are_kept_and_said(tmp_path, word):
    (sentence,) = said(tmp_path, ["cat", "dog", word])
    assert word in read_manifest(str(tmp_path / "m.csv")).classes
    assert sentence.startswith(
        f"Read as the name of a class, though it may stand for a missing value: '{word}' (3 images)"
    )


def test_a_missing_value_that_became_a_folder_or_a_group_is_said(tmp_path):
    for name in ("nan", "cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "1.png").touch()
    (sentence,) = remarks(read_manifest(str(tmp_path / "photos")))
    assert "'nan' (1 image)" in sentence
    (tmp_path / "g.csv").write_text("path,label,group\n1.png,a,unknown\n2.png,b,unknown\n3.png,a,x")
    (sentence,) = remarks(read_manifest(str(tmp_path / "g.csv")))
    assert sentence.startswith("Read as the name of a group,")
    assert "'unknown' (2 images)" in sentence


def test_pandas_writes_no_value_in_its_ways(tmp_path):
    """NaN of a float column beside whole numbers, None of an object column, in Parquet."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"path": ["1.png", "2.png", "3.png"], "label": [3.0, float("nan"), None]})
    pq.write_table(table, tmp_path / "m.parquet")
    assert read_manifest(str(tmp_path / "m.parquet")).labels == ["3", None, None]

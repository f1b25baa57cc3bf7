"""Tables on disk: exact text, hostile cells, awkward names, whole or absent."""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.errors import MissingExtraError, UsageError
from featx.formats import FORMATS, find_writer, write_rows

NAMES = ["csv", "jsonl", "parquet"]
COLUMNS = ["path", "probability", "error"]
ROWS = [
    ["a.jpg", 0.5, None],
    ["-x.jpg", float("nan"), 'cut off, "really"'],
    ["b\r\nc.jpg", np.float64(0.25), np.str_("=1+1")],
    ["é.jpg", 1, "'quoted"],
]


def test_the_formats_there_are() -> None:
    assert FORMATS.names() == NAMES


def test_csv_exactly(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.csv", COLUMNS, ROWS)
    assert (tmp_path / "t.csv").read_bytes().decode() == (
        "path,probability,error\n"
        "a.jpg,0.5,\n"
        '\'-x.jpg,,"cut off, ""really"""\n'
        '"b\r\nc.jpg",0.25,\'=1+1\n'
        "é.jpg,1,''quoted\n"
    )


def test_jsonl_exactly(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.jsonl", COLUMNS, ROWS)
    assert (tmp_path / "t.jsonl").read_bytes().decode("ascii") == (
        '{"path": "a.jpg", "probability": 0.5, "error": null}\n'
        '{"path": "-x.jpg", "probability": null, "error": "cut off, \\"really\\""}\n'
        '{"path": "b\\r\\nc.jpg", "probability": 0.25, "error": "=1+1"}\n'
        '{"path": "\\u00e9.jpg", "probability": 1, "error": "\'quoted"}\n'
    )


def test_parquet_exactly(tmp_path: Path) -> None:
    from pyarrow import parquet

    write_rows(tmp_path / "t.parquet", COLUMNS, ROWS)
    table = parquet.read_table(tmp_path / "t.parquet")
    assert [str(field.type) for field in table.schema] == ["string", "double", "string"]
    assert table.to_pylist()[1] == {
        "path": "-x.jpg", "probability": None, "error": 'cut off, "really"',
    }  # fmt: skip


@pytest.mark.parametrize("first", list("=+-@\t\r\n＝＋－＠'"))
def test_cells_a_spreadsheet_would_run_are_escaped_and_come_back(
    tmp_path: Path, first: str
) -> None:
    text = f"{first}cmd|' /C calc'!A0"
    write_rows(tmp_path / "t.csv", [text], [[text], [-1.5], ["-"]])
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as stream:
        cells = [row[0] for row in csv.reader(stream)]
    assert cells == [f"'{text}", f"'{text}", "-1.5", "'-"]  # numbers stay numbers
    assert cells[0].removeprefix("'") == text


# Every text that a file name can decode to.
names = st.binary(min_size=1, max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


def unescape(cell: str) -> str:
    """What the documentation tells a reader to do."""
    return cell[1:] if cell.startswith("'") else cell


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(names | st.text(max_size=6), min_size=2, max_size=2), max_size=5))
def test_any_text_comes_back_from_csv_and_jsonl(rows: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder, "t.csv"), ["a", "b"], rows)
        text = Path(folder, "t.csv").read_bytes().decode("utf-8", "surrogateescape")
        read = list(csv.reader(io.StringIO(text, newline="")))
        assert [[unescape(cell) for cell in row] for row in read[1:]] == rows
        write_rows(Path(folder, "t.jsonl"), ["a", "b"], rows)
        lines = Path(folder, "t.jsonl").read_text("ascii").splitlines()
        assert [[json.loads(line)[c] for c in "ab"] for line in lines] == rows


def test_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9\\xe9.png")
    for suffix in NAMES:
        write_rows(tmp_path / f"t.{suffix}", ["path"], [[name]])
    assert (tmp_path / "t.csv").read_bytes() == b"path\ncaf\xe9\\xe9.png\n"
    assert (tmp_path / "t.jsonl").read_bytes() == b'{"path": "caf\\udce9\\\\xe9.png"}\n'
    from pyarrow import parquet

    assert parquet.read_table(tmp_path / "t.parquet")["path"].to_pylist() == ["caf\\xe9\\xe9.png"]


@pytest.mark.parametrize("suffix", NAMES)
def test_a_lone_surrogate_that_is_no_byte_is_written_as_an_escape(
    tmp_path: Path, suffix: str
) -> None:
    write_rows(tmp_path / f"t.{suffix}", ["label"], [["a\ud800b"]])
    assert b"a\\ud800b" in (tmp_path / f"t.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", NAMES)
def test_a_table_without_rows(tmp_path: Path, suffix: str) -> None:
    write_rows(tmp_path / f"t.{suffix}", COLUMNS, [])
    assert (tmp_path / f"t.{suffix}").exists()


def test_parquet_of_more_than_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import parquet

    monkeypatch.setattr(importlib.import_module("featx.formats.parquet"), "BATCH_ROWS", 3)
    rows = [[None, None, None] for _ in range(4)] + [["a", 0.5, None], ["b", 2, None]]
    write_rows(tmp_path / "t.parquet", COLUMNS, rows)
    table = parquet.read_table(tmp_path / "t.parquet")
    assert [str(field.type) for field in table.schema] == ["string", "double", "string"]
    assert [list(row.values()) for row in table.to_pylist()] == rows


@pytest.mark.parametrize("suffix", NAMES)
def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    path.write_text("old")

    def rows() -> Iterator[list[Any]]:
        yield ["a", 1, None]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(path, COLUMNS, rows(), overwrite=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_where_output_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Choose from: \.csv, \.jsonl, \.parquet") as caught:
        find_writer(tmp_path / "t.xlsx")
    assert caught.value.exit_code == 2
    (tmp_path / "old.csv").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        write_rows(tmp_path / "old.csv", COLUMNS, ROWS)
    assert (tmp_path / "old.csv").read_text() == "mine"
    write_rows(tmp_path / "new" / "T.CSV", COLUMNS, ROWS)
    assert (tmp_path / "new" / "T.CSV").exists()


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "featx.formats.parquet", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'featx\[parquet\]'"):
        find_writer(tmp_path / "t.parquet")  # before any work is done

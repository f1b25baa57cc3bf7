"""What is written as CSV is read back as it was, whatever the text."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from featx.formats import write_rows
from featx.formats.csv import RISKY, escape, parse_rows, unescape

#: Any text that UTF-8 holds, and any name of a file, whatever its bytes are.
TEXT = st.text() | st.binary(max_size=20).map(os.fsdecode)
FORMULAS = [f"{sign}{rest}" for sign in RISKY for rest in ("", "x", "'", "=1+1", "\r\n")]
TABLES = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(TEXT, min_size=n, max_size=n), min_size=1, max_size=6)
)


@given(TEXT)
def test_a_cell_comes_back(text: str) -> None:
    assert unescape(escape(text)) == text
    assert not escape(text).startswith(tuple(sign for sign in RISKY if sign != "'"))


@given(TABLES)
@example([FORMULAS, FORMULAS[::-1]])
@example([["p"], [""], ["'"], ['"'], ["\n"], [" "], ["\x00"], ["\u2028"]])
@example([["a", "b"], ["", ""], ["''", '""'], ["\udcff", "\x85"]])
def test_a_table_comes_back(table: list[list[str]]) -> None:
    columns, *rows = table
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write_rows(path, columns, rows)
        assert parse_rows(path.read_bytes()) == (columns, rows)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a,b\n1,2\n3\n", "row 2 has 1 of 2 cells"),
        (b"a,b\n1,2,3\n", "row 1 has 3 of 2 cells"),
        (b'a,b\n1,"2\n', "line 2 is not CSV"),
        (b'a,b\n1,"2"3\n', "line 2 is not CSV"),
    ],
)
def test_what_is_no_table_is_said(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_rows(data)


def test_an_empty_file_has_no_columns() -> None:
    assert parse_rows(b"") == ([], [])

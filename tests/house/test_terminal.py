"""Text and tables in terminals of any width, and when they are in colour."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx import console
from featx.terminal import fitted_table, has_colour, wrapped


class Screen(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """As a terminal's."""
        return True


WORDS = st.text("abc ,[]-0.é", max_size=30).map(str.strip)


@given(
    columns=st.lists(st.tuples(WORDS, st.booleans()), min_size=1, max_size=8),
    n_rows=st.integers(0, 4),
    width=st.integers(50, 120),
    data=st.data(),
)
def test_a_table_fits_and_loses_no_cell(
    columns: list[tuple[str, bool]], n_rows: int, width: int, data: st.DataObject
) -> None:
    heads, right = [head for head, _ in columns], [to_right for _, to_right in columns]
    rows = [[data.draw(WORDS) for _ in heads] for _ in range(n_rows)]
    lines = [line for part in fitted_table(heads, rows, right, width) for line in part]
    assert all(len(line) <= width for line in lines)
    shown = "".join(lines).replace(" ", "")
    for cell in (cell for row in [heads, *rows] for cell in row):
        for letter in set(cell) - {" "}:
            assert shown.count(letter) >= cell.count(letter)


@pytest.mark.parametrize("first", [30, 60])
def test_the_first_column_leaves_room_for_another(first: int) -> None:
    cells = ["0" * first, *[""] * 6, "1" * 19]
    parts = fitted_table([""] * 8, [cells], [True, *[False] * 7], 50)
    lines = [line for part in parts for line in part]
    assert max(map(len, lines)) <= 50
    assert sum(line.count("1") for line in lines) == 19


def test_what_fits_or_is_in_a_file_has_one_line_a_row() -> None:
    heads, rows = ["class", "recall"], [["a" * 70, "0.5 [0.1, 0.9]"]]
    for width in (None, 200):
        head, rule, row = fitted_table(heads, rows, [False, False], width)
        assert [len(head), len(rule), len(row)] == [1, 1, 1]


def test_a_narrow_table_keeps_intervals_whole_and_repeats_the_first_column() -> None:
    heads = ["class", *(f"metric {i}" for i in range(6))]
    rows = [["Lymphocyte", *["0.848 [0.673, 0.990]"] * 6]]
    parts = fitted_table(heads, rows, [False] * 7, 60)
    lines = [line for part in parts for line in part]
    assert all(len(line) <= 60 for line in lines)
    assert sum(line.count("[0.673, 0.990]") for line in lines) == 6
    assert sum("Lymphocyte" in line for line in lines) == sum("class" in line for line in lines) > 1


def test_prose_is_wrapped_and_commands_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    command = "featx fit 'my photos' --weights 'a long name.safetensors' --cache x"
    text = f"{'Some words that go on. ' * 4}\nNext: {command}\n→ {'point ' * 12}"
    lines = wrapped(text, Screen()).split("\n")
    assert sum(line.endswith(command) for line in lines) == 1
    assert all(len(line) <= 40 for line in lines if command not in line)
    assert lines[-1].startswith("  point")
    assert wrapped(text, io.StringIO()) == text


@pytest.mark.parametrize(
    ("environment", "terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"CLICOLOR": "0"}, True, False),
        ({"CLICOLOR": "1"}, False, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colour(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], terminal: bool, expected: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert has_colour(Screen() if terminal else io.StringIO()) is expected


def test_the_chosen_row_is_in_colour_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    rows = [("→ svm", 0.9), ("  knn", 0.8)]
    for stream, coloured in ((Screen(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stdout", stream)
        console.table("", ("head", "score"), rows)
        *_, chosen, other = stream.getvalue().splitlines()
        assert chosen.startswith("\033[1;32m→ svm") is coloured
        assert "\033" not in other
